"""Configuration of a committee member: `ledger.toml` in its home."""

from pathlib import Path
from typing import Final

from pydantic import Field, field_validator

from qnet.config import ConfigModel, load_toml
from qnet.errors import ConfigError
from qnet.messages.trust import MAX_MEMBERS
from qnet.parameters import DEVNET_CHAIN_ID

FILE_NAME: Final = "ledger.toml"


class MemberSection(ConfigModel):
    """`[member]`: who we are; `peers` lists the URLs of all members in member order, ours too."""

    index: int = Field(ge=0, lt=MAX_MEMBERS)
    listen: str
    peers: tuple[str, ...] = Field(min_length=1, max_length=MAX_MEMBERS)

    @field_validator("listen")
    @classmethod
    def _endpoint(cls, text: str) -> str:
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
            raise ValueError(f"{text!r} is not host:port")
        return text

    @field_validator("peers")
    @classmethod
    def _urls(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            if not url.startswith(("http://", "https://")):
                raise ValueError(f"{url!r} is not a URL")
        return tuple(url.rstrip("/") for url in urls)


class ChainSection(ConfigModel):
    """`[chain]`: the node to ask and the manifest of the contracts."""

    rpc: str
    deployment: Path


class StorageSection(ConfigModel):
    """`[storage]`: `sqlite:///file` (relative to the home) or `postgresql://…`."""

    url: str = "sqlite:///state/ledger.db"


class BeaconSection(ConfigModel):
    """`[beacon]`: file with the seed of the hash chain; without it, other members are asked."""

    seed_file: Path | None = None


class KeysSection(ConfigModel):
    """`[keys]`: keystores of the signing key and of the account that pays for transactions."""

    signer: Path = Path("keys/signer.json")
    owner: Path = Path("keys/owner.json")
    passphrase_file: Path = Path("passphrase")


class AuditSection(ConfigModel):
    """`[audit]`: file with the token that our auditor shows."""

    token_file: Path = Path("audit.token")


class ChallengerSection(ConfigModel):
    """`[challenger]`: whether stored evidence is taken to the court, with bonds of the owner.

    Without a word the member does so on a devnet, and on no other network.
    """

    enabled: bool | None = None

    def on_chain(self, chain_id: int) -> bool:
        """Whether it is enabled on a chain."""
        return chain_id == DEVNET_CHAIN_ID if self.enabled is None else self.enabled


class LedgerConfig(ConfigModel):
    """`ledger.toml`; relative paths are relative to the home."""

    member: MemberSection
    chain: ChainSection
    storage: StorageSection = StorageSection()
    beacon: BeaconSection = BeaconSection()
    keys: KeysSection = KeysSection()
    audit: AuditSection = AuditSection()
    challenger: ChallengerSection = ChallengerSection()

    @property
    def host(self) -> str:
        """Address to listen on."""
        return self.member.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Port to listen on."""
        return int(self.member.listen.rpartition(":")[2])


def load_config(home: Path) -> LedgerConfig:
    """Read `ledger.toml` of a home.

    Raises:
        ConfigError: unreadable, or a value does not fit.
    """
    config = load_toml(home / FILE_NAME, LedgerConfig)
    if config.member.index >= len(config.member.peers):
        raise ConfigError(
            f"{home / FILE_NAME}: member.index {config.member.index} has no URL in member.peers"
        )
    return config


def database_url(home: Path, url: str) -> str:
    """URL for SQLAlchemy's asynchronous drivers; SQLite files are relative to the home.

    Raises:
        ConfigError: another kind of database.
    """
    if url.startswith("sqlite:///"):
        path = (home / url.removeprefix("sqlite:///")).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        return f"sqlite+aiosqlite:///{path}"
    if url.startswith(("postgresql://", "postgresql+asyncpg://")):
        return "postgresql+asyncpg://" + url.partition("://")[2]
    raise ConfigError("storage.url is neither sqlite:/// nor postgresql://")
