"""Configuration of nodes and clients: `node.toml`, `client.toml` and the network bundle."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator

from node.errors import NodeConfigError
from qnet.config import ConfigModel
from qnet.parameters import NetworkParameters, Profile

MAX_BUNDLE_BYTES: Final = 2**20
BUNDLE_SCHEMA: Final = "qnet.network/1"
DEPLOYMENT_SCHEMA: Final = "qnet.deployment/1"

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


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a client must know to trust a network (`network.json`).

    Attributes:
        chain_id: EVM chain id.
        committee: Committee contract, 20 bytes.
        oracle: ReportOracle contract, 20 bytes.
        registry: NodeRegistry contract, 20 bytes.
        signers: Committee members' signing addresses in member order, 20 bytes each.
        quorum: Signatures a consensus needs.
        seeds: `htx://` lines of nodes to start from.
        profile: Parameters before the first consensus is known.
        genesis_s: Start of epoch 0, unix seconds; 0 where there is no chain.
        overrides: Values that differ from the profile's.
        made_at: When the signers were read from the chain, unix seconds; 0 if it is not known.
        bridges: `htx://` lines of unlisted nodes, tried when no seed answers.
    """

    chain_id: int
    committee: bytes
    oracle: bytes
    registry: bytes
    signers: tuple[bytes, ...]
    quorum: int
    seeds: tuple[str, ...]
    profile: Profile
    genesis_s: int = 0
    overrides: dict[str, int] = field(default_factory=dict)
    made_at: int = 0
    bridges: tuple[str, ...] = ()

    def parameters(self) -> NetworkParameters:
        """Parameters of the profile.

        Raises:
            ConfigError: A devnet profile on another chain than the devnet's.
        """
        parameters = NetworkParameters.profile(self.profile)
        for name, value in self.overrides.items():
            parameters = parameters.with_value(name, value)
        parameters.check_chain(self.chain_id)
        return parameters

    def to_json(self) -> dict[str, Any]:
        """The file's content."""
        return {
            "schema": BUNDLE_SCHEMA,
            "chain_id": self.chain_id,
            "committee": "0x" + self.committee.hex(),
            "oracle": "0x" + self.oracle.hex(),
            "registry": "0x" + self.registry.hex(),
            "signers": ["0x" + signer.hex() for signer in self.signers],
            "quorum": self.quorum,
            "seeds": list(self.seeds),
            "profile": self.profile,
            "genesis_s": self.genesis_s,
            "parameters": dict(self.overrides),
            "made_at": self.made_at,
            "bridges": list(self.bridges),
        }


def load_bundle(path: Path) -> Bundle:
    """Read a network bundle.

    Raises:
        NodeConfigError: It cannot be read, or a field is missing or malformed.
    """
    content = _load_json(path, BUNDLE_SCHEMA)
    try:
        bundle = Bundle(
            chain_id=_integer(content, "chain_id"),
            committee=_address(content["committee"]),
            oracle=_address(content["oracle"]),
            registry=_address(content["registry"]),
            signers=tuple(_address(signer) for signer in content["signers"]),
            quorum=_integer(content, "quorum"),
            seeds=tuple(str(seed) for seed in content["seeds"]),
            profile="devnet" if content["profile"] == "devnet" else "main",
            genesis_s=int(content.get("genesis_s", 0)),
            overrides={str(k): int(v) for k, v in content.get("parameters", {}).items()},
            made_at=int(content.get("made_at", 0)),
            bridges=tuple(str(line) for line in content.get("bridges", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NodeConfigError(f"network bundle {path} is malformed", why=str(error)) from error
    if not 1 <= bundle.quorum <= len(bundle.signers):
        raise NodeConfigError(f"network bundle {path} has an impossible quorum")
    return bundle


@dataclass(frozen=True, slots=True)
class Deployment:
    """`deployment.json`: where the contracts of a network are.

    Attributes:
        chain_id: EVM chain id.
        genesis_s: Start of epoch 0, unix seconds.
        profile: Parameter profile the network was deployed with.
        contracts: Addresses by contract name, 20 bytes each.
    """

    chain_id: int
    genesis_s: int
    profile: Profile
    contracts: dict[str, bytes]


def load_deployment(path: Path) -> Deployment:
    """Read a deployment manifest.

    Raises:
        NodeConfigError: It cannot be read, or a field is missing or malformed.
    """
    content = _load_json(path, DEPLOYMENT_SCHEMA)
    try:
        return Deployment(
            chain_id=_integer(content, "chain_id"),
            genesis_s=_integer(content, "genesis_s"),
            profile="devnet" if content["profile"] == "devnet" else "main",
            contracts={
                name: _address(entry["address"]) for name, entry in content["contracts"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NodeConfigError(f"deployment {path} is malformed", why=str(error)) from error


def _load_json(path: Path, schema: str) -> dict[str, Any]:
    try:
        data = path.read_bytes()
        if len(data) > MAX_BUNDLE_BYTES:
            raise NodeConfigError(f"{path} is too long", why=f"limit {MAX_BUNDLE_BYTES} bytes")
        content = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise NodeConfigError(f"cannot read {path}", why=str(error)) from error
    if not isinstance(content, dict) or content.get("schema") != schema:
        raise NodeConfigError(f"{path} is not of schema {schema}")
    return content


def _integer(content: dict[str, Any], name: str) -> int:
    value = content[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} is not a natural number")
    return value


def _address(value: object) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x") or len(value) != 42:
        raise ValueError(f"{value!r} is not an address")
    return bytes.fromhex(value[2:])
