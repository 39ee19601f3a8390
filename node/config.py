"""Configuration of nodes and clients: `node.toml` and `client.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from qnet.config import ConfigModel

MAX_CONNECTIONS: Final = 1_024
"""Connections that one port of a client serves at once, unless configured otherwise."""

MAX_DNS_QUESTIONS: Final = 256
"""The same for questions of a DNS port."""

RoleName = Literal["entry", "relay", "mix", "exit"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and port.

    Attributes:
        host: Address or name.
        port: TCP port, 0 to 65,535 (0 lets the system choose where that is allowed).
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read `host:port` or `[v6]:port`.

        Raises:
            ValueError: It is neither.
        """
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
            raise ValueError(f"{text!r} is not host:port")
        return cls(host.strip("[]"), int(port))


def _checked_endpoint(text: str) -> str:
    if text:
        Endpoint.parse(text)
    return text


class NodeSection(ConfigModel):
    """`[node]`: what this node is and where it listens.

    `mbps` is the rate it offers; `rate_kbps` limits what it sends, 0 for no limit. `price` is what
    it takes for a MiB of premium traffic, in units; 0 if it takes no payment.

    `index` and `owner` are read from the registry; they are set here only where there is no chain
    (benches on one machine).
    """

    role: RoleName
    listen: str
    advertise: str = ""
    sni: str
    family: str = ""
    mbps: int = Field(default=100, ge=1, le=10**6)
    rate_kbps: int = Field(default=0, ge=0, le=10**9)
    price: int = Field(default=0, ge=0, le=255)
    index: int = Field(default=0, ge=0, lt=2**32)
    owner: str = ""
    decoy: Path | None = None

    _endpoints = field_validator("listen", "advertise")(_checked_endpoint)


class ChainSection(ConfigModel):
    """`[chain]`: where the contracts are."""

    rpc: str
    deployment: Path


class NetworkSection(ConfigModel):
    """`[network]`: the bundle that says whom to trust."""

    bundle: Path


class LedgerSection(ConfigModel):
    """`[ledger]`: base URLs of the committee members."""

    members: tuple[str, ...] = ()


class ExitSection(ConfigModel):
    """`[exit]`: what an exit connects to, which DNS servers it asks, and what it says of itself.

    `outbound` are the addresses to connect from, one of each IP version at most. `operator` and
    `contact` stand on the notice page, which `notice_listen` serves over plain HTTP; it is also the
    front page of an exit without a site of its own.
    """

    policy: str = "none"
    dns: str = ""
    allow_private: bool = False
    outbound: tuple[str, ...] = ()
    operator: str = Field(default="", max_length=200)
    contact: str = Field(default="", max_length=200)
    notice_listen: str = ""

    _endpoint = field_validator("notice_listen")(_checked_endpoint)


class KeysSection(ConfigModel):
    """`[keys]`: where the passphrase of the key files is."""

    passphrase_file: Path


class MetricsSection(ConfigModel):
    """`[metrics]`: Prometheus endpoint; empty means off."""

    listen: str = ""

    _endpoint = field_validator("listen")(_checked_endpoint)


class EarningsSection(ConfigModel):
    """`[payments]` of a node: who redeems on chain what the committee does not attest.

    Both empty: the node warns, and its owner redeems with `qnet node redeem`.
    """

    owner_keystore: Path | None = None
    passphrase_file: Path | None = None


class NodeConfig(ConfigModel):
    """`node.toml`: either `[chain]` or, without a chain, `[network]` names the network."""

    node: NodeSection
    keys: KeysSection
    chain: ChainSection | None = None
    network: NetworkSection | None = None
    ledger: LedgerSection = LedgerSection()
    exit: ExitSection = ExitSection()
    metrics: MetricsSection = MetricsSection()
    payments: EarningsSection = EarningsSection()


class DoorSection(ConfigModel):
    """One local port that applications connect to.

    Attributes:
        listen: Address and port.
        isolate: What streams are kept apart by: listener, label, destination, port.
        max_connections: Connections (for DNS: questions) served at once.
    """

    listen: str
    isolate: frozenset[Literal["listener", "label", "destination", "port"]] = frozenset(
        ("listener", "label")
    )
    max_connections: int = Field(default=MAX_CONNECTIONS, ge=1, le=65_536)

    @field_validator("listen")
    @classmethod
    def _address(cls, text: str) -> str:
        ip_address(Endpoint.parse(text).host)
        return text


class ProxySection(DoorSection):
    """A `[socks]` or `[http]` port; `raw_address` is for destinations that are addresses."""

    raw_address: Literal["warn", "refuse", "allow"] = "warn"


class SocksSection(ProxySection):
    """`[socks]`: the SOCKS5 port, or `[[socks]]` for each of several."""

    listen: str = "127.0.0.1:9150"


class HttpSection(ProxySection):
    """`[http]`: the HTTP proxy port, or `[[http]]` for each of several."""

    listen: str = "127.0.0.1:9151"


class DnsSection(DoorSection):
    """`[dns]`: the DNS port (UDP and TCP), or `[[dns]]` for each of several."""

    listen: str = "127.0.0.1:9153"
    max_connections: int = Field(default=MAX_DNS_QUESTIONS, ge=1, le=65_536)


class AnchorSection(ConfigModel):
    """`[chain]` of a client: a node of the chain to read committee and anchors from."""

    rpc: str


Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class PathsSection(ConfigModel):
    """`[paths]` of a client: tables of addresses, and where exits may stand.

    Attributes:
        as_table: File of lines `prefix AS-number`.
        country_table: File of lines `prefix country`.
        exit_countries: Countries that exits must stand in; any by default.
        no_exit_countries: Countries that exits must not stand in.
    """

    as_table: Path | None = None
    country_table: Path | None = None
    exit_countries: frozenset[Country] = frozenset()
    no_exit_countries: frozenset[Country] = frozenset()


class PaymentsSection(ConfigModel):
    """`[payments]` of a client: its premium wallet; needs `[chain]`.

    Attributes:
        members: Base URLs of the committee members, in the order of their seats.
        deployment: Contract manifest.
        passphrase_file: Opens the wallet's seed.
        tokens: Tokens made ahead, over all relays.
        credits_low: Credits of 64 units at which more are bought while `auto` is on.
        credits_buy: How many are bought then.
    """

    members: tuple[str, ...] = Field(min_length=1, max_length=64)
    deployment: Path
    passphrase_file: Path
    tokens: int = Field(default=12, ge=0, le=64)
    credits_low: int = Field(default=4, ge=0, le=1_024)
    credits_buy: int = Field(default=8, ge=1, le=64)


Tier = Literal["circuits", "mix"]


class MixSection(ConfigModel):
    """`[mix]` of a client: what it wants the mixnet for; it costs traffic all the time.

    Attributes:
        messages: Whether it carries messages (`qnet msg`).
    """

    messages: bool = False


class ClientConfig(ConfigModel):
    """`client.toml`: a SOCKS5 port unless it says otherwise, other ports where it names them.

    `bridges` are `htx://` lines of unlisted nodes. Streams take circuits, which are fast, or with
    `tier = "mix"` the mixnet.
    """

    bridges: tuple[str, ...] = ()
    tier: Tier = "circuits"
    network: NetworkSection
    chain: AnchorSection | None = None
    paths: PathsSection = PathsSection()
    payments: PaymentsSection | None = None
    mix: MixSection = MixSection()
    socks: tuple[SocksSection, ...] = (SocksSection(),)
    http: tuple[HttpSection, ...] = ()
    dns: tuple[DnsSection, ...] = ()

    @field_validator("socks", "http", "dns", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        """`[socks]` is one; `[[socks]]` any number."""
        return (value,) if isinstance(value, dict) else value
