"""The manifest of a deployment: which contracts stand where, on which chain."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from qnet.address import checksum_address, parse_address
from qnet.chain.client import ChainClient
from qnet.chain.errors import ChainRestartedError, DeploymentMismatchError, WrongChainError
from qnet.crypto.keys import keccak256
from qnet.errors import ConfigError, UsageError

SCHEMA: Final = "qnet.deployment/1"
MAX_FILE_BYTES: Final = 1 << 20

CONTRACT_NAMES: Final = (
    "QNetToken",
    "Parameters",
    "QNetTimelock",
    "Epochs",
    "Committee",
    "NodeRegistry",
    "StakeHub",
    "ReportOracle",
    "RewardVault",
    "QNetGovernor",
    "VersionRegistry",
    "Slasher",
    "DisputeCourt",
    "PremiumChannels",
)
"""Every manifest names these, upgradeable ones by their proxy."""

Profile = Literal["main", "devnet"]


@dataclass(frozen=True, slots=True)
class DeployedContract:
    """Address (20 bytes) of a contract and keccak256 of its code (32 bytes)."""

    address: bytes
    code_hash: bytes


@dataclass(frozen=True, slots=True)
class Deployment:
    """A finished deployment.

    Args:
        chain_id: EIP-155 chain id.
        chain_genesis_hash: hash of the chain's block 0; tells a restarted devnet from the old one.
        start_block: no event of these contracts is older.
        genesis_s: unix time at which epoch 0 starts.
        profile: parameter profile it was made from.
        contracts: by name; upgradeable ones by their proxy.
    """

    chain_id: int
    chain_genesis_hash: bytes
    start_block: int
    genesis_s: int
    profile: Profile
    contracts: Mapping[str, DeployedContract]

    def address(self, name: str) -> bytes:
        """Return a contract's address, 20 bytes."""
        return self.contracts[name].address

    def to_json(self) -> dict[str, Any]:
        """Return the manifest's content."""
        return {
            "schema": SCHEMA,
            "complete": True,
            "chain_id": self.chain_id,
            "chain_genesis_hash": "0x" + self.chain_genesis_hash.hex(),
            "start_block": self.start_block,
            "genesis_s": self.genesis_s,
            "profile": self.profile,
            "contracts": {
                name: {
                    "address": checksum_address(contract.address),
                    "code_hash": "0x" + contract.code_hash.hex(),
                }
                for name, contract in self.contracts.items()
            },
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read a manifest's content.

        Raises:
            ConfigError: fields are missing or malformed, or the deployment is not complete.
        """
        if document.get("schema") != SCHEMA:
            raise ConfigError(f"the manifest's schema is not {SCHEMA}")
        if document.get("complete") is not True:
            raise ConfigError(
                "the deployment is not complete",
                why="the deployer was interrupted",
                try_=("run the same deployment again: it goes on where it stopped",),
            )
        try:
            contracts = {
                name: DeployedContract(
                    parse_address(document["contracts"][name]["address"]),
                    _hash(document["contracts"][name]["code_hash"]),
                )
                for name in CONTRACT_NAMES
            }
            profile: Profile = "main" if document["profile"] == "main" else "devnet"
            return cls(
                chain_id=int(document["chain_id"]),
                chain_genesis_hash=_hash(document["chain_genesis_hash"]),
                start_block=int(document["start_block"]),
                genesis_s=int(document["genesis_s"]),
                profile=profile,
                contracts=contracts,
            )
        except (AttributeError, LookupError, TypeError, ValueError, UsageError) as error:
            raise ConfigError("the manifest is malformed", why=repr(error)) from error

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a manifest file.

        Raises:
            ConfigError: missing, unreadable, malformed or not complete; names the file.
        """
        document = load_document(path)
        try:
            return cls.from_json(document)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error.message}", why=error.why, try_=error.try_) from error

    async def check(self, client: ChainClient) -> None:
        """Check that the contracts stand on the chain that `client` serves.

        Raises:
            WrongChainError: another chain id.
            ChainRestartedError: same id, but the chain began anew.
            DeploymentMismatchError: a contract is missing or has other code.
        """
        self.check_chain(client)
        for name, contract in self.contracts.items():
            if keccak256(await client.code(contract.address)) != contract.code_hash:
                raise DeploymentMismatchError(
                    f"{name} at {checksum_address(contract.address)} is not what was deployed",
                    why="the code on the chain differs from the manifest",
                )

    def check_chain(self, client: ChainClient) -> None:
        """Check that `client` serves the chain of this deployment, whatever stands there.

        Raises:
            WrongChainError: another chain id.
            ChainRestartedError: same id, but the chain began anew.
        """
        if client.chain_id != self.chain_id:
            raise WrongChainError(
                f"the contracts are on chain {self.chain_id}, the node serves {client.chain_id}"
            )
        if client.genesis_hash != self.chain_genesis_hash:
            raise ChainRestartedError(
                "the chain was restarted after the contracts were deployed",
                why="its first block is another one than the manifest says",
                try_=("deploy again and use the new manifest",),
            )


def load_document(path: Path) -> dict[str, Any]:
    """Read a manifest, complete or not, as JSON.

    Raises:
        ConfigError: missing, too long or no JSON object.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        document = json.loads(data) if len(data) <= MAX_FILE_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read the manifest {path}", why=str(error)) from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} is no deployment manifest")
    return document


def _hash(text: str) -> bytes:
    decoded = bytes.fromhex(text.removeprefix("0x"))
    if len(decoded) != 32:
        raise ValueError(f"{text!r} is no hash")
    return decoded
