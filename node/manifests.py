"""What a program is given to know a network: `network.json` and `deployment.json`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from node.errors import NodeConfigError
from qnet.parameters import NetworkParameters, Profile

MAX_BUNDLE_BYTES: Final = 2**20
BUNDLE_SCHEMA: Final = "qnet.network/1"
DEPLOYMENT_SCHEMA: Final = "qnet.deployment/1"


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
