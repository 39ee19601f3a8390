"""What a deployment consists of: the contracts in order, and where each will stand.

Contracts that know each other hold the others' addresses as constants. That works because an
address follows from the deployer's account and nonce: all are computed before the first is made.

Source: docs/reference/contracts.md, section Deployment.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from qnet.chain.artifact import load_artifact
from qnet.chain.deployment import Profile
from qnet.chain.values import Call
from qnet.crypto.keys import keccak256
from qnet.issuance import PaymentTerms
from qnet.parameters import BOUNDS, NetworkParameters, parameter_key

PINNED_PARAMETERS: Final = ("slot_s", "slots_per_epoch")
"""The calendar is fixed at birth: the bounds of these are their values."""
PROXY: Final = "ERC1967Proxy"
PROXIED: Final = frozenset({"NodeRegistry", "StakeHub", "ReportOracle", "DisputeCourt"})
"""Contracts behind proxies."""
OWNED: Final = frozenset(
    {
        "Parameters",
        "Epochs",
        "Committee",
        "NodeRegistry",
        "StakeHub",
        "ReportOracle",
        "VersionRegistry",
        "Slasher",
        "DisputeCourt",
        "PremiumChannels",
    }
)
"""Contracts whose owner is the timelock, for good."""
LINKS: Final[Mapping[str, Mapping[str, str]]] = {
    "QNetTimelock": {"parameters": "Parameters"},
    "Epochs": {
        "parameters": "Parameters",
        "registry": "NodeRegistry",
        "oracle": "ReportOracle",
        "vault": "RewardVault",
    },
    "Committee": {
        "token": "QNetToken",
        "parameters": "Parameters",
        "epochs": "Epochs",
        "slasher": "Slasher",
    },
    "NodeRegistry": {"parameters": "Parameters", "epochs": "Epochs", "hub": "StakeHub"},
    "StakeHub": {
        "token": "QNetToken",
        "parameters": "Parameters",
        "epochs": "Epochs",
        "registry": "NodeRegistry",
        "oracle": "ReportOracle",
        "vault": "RewardVault",
        "slasher": "Slasher",
        "court": "DisputeCourt",
    },
    "ReportOracle": {
        "parameters": "Parameters",
        "epochs": "Epochs",
        "committee": "Committee",
        "token": "QNetToken",
        "court": "DisputeCourt",
    },
    "RewardVault": {"token": "QNetToken", "epochs": "Epochs", "hub": "StakeHub"},
    "QNetGovernor": {
        "token": "QNetToken",
        "hub": "StakeHub",
        "vault": "RewardVault",
        "timelock": "QNetTimelock",
        "parameters": "Parameters",
    },
    "VersionRegistry": {"epochs": "Epochs"},
    "Slasher": {
        "token": "QNetToken",
        "parameters": "Parameters",
        "registry": "NodeRegistry",
        "hub": "StakeHub",
        "committee": "Committee",
        "court": "DisputeCourt",
        "vault": "RewardVault",
        "channels": "PremiumChannels",
    },
    "DisputeCourt": {
        "token": "QNetToken",
        "parameters": "Parameters",
        "epochs": "Epochs",
        "registry": "NodeRegistry",
        "hub": "StakeHub",
        "oracle": "ReportOracle",
        "committee": "Committee",
        "slasher": "Slasher",
    },
    "PremiumChannels": {
        "token": "QNetToken",
        "epochs": "Epochs",
        "committee": "Committee",
        "registry": "NodeRegistry",
    },
}
"""Getter of a contract → the contract it names for good, in the order of the constructor."""
JUDGE_LINKS: Final[Mapping[str, str]] = {
    "parameters": "Parameters",
    "epochs": "Epochs",
    "registry": "NodeRegistry",
    "hub": "StakeHub",
    "oracle": "ReportOracle",
}
"""The same of the judge, which the court's constructor makes."""
REDEEMER_LINKS: Final[Mapping[str, str]] = {
    "token": "QNetToken",
    "channels": "PremiumChannels",
    "registry": "NodeRegistry",
}
"""The same of the redeemer, which the constructor of PremiumChannels makes."""
APPOINTED: Final[Mapping[str, Mapping[str, str]]] = {"NodeRegistry": {"slasher": "Slasher"}}
"""Getter of a contract → the contract its proxy was set up with; holders can change it."""
IMPLEMENTATION: Final = "Implementation"
"""Suffix under which the code behind a proxy is listed."""


@dataclass(frozen=True, slots=True)
class MemberSeat:
    """A founding member of the committee; addresses have 20 bytes."""

    owner: bytes
    signer: bytes
    url: str


@dataclass(frozen=True, slots=True)
class DeploymentRequest:
    """Everything a deployment depends on.

    Args:
        parameters: first values.
        profile: profile they come from.
        terms: deadlines and values of premium payments.
        genesis_s: unix time at which epoch 0 starts.
        beacon_anchor: 32-byte head of the beacon's hash chain.
        members: founding committee.
        allocations: (account, wei) for each first holder.
        vault_wei: tokens for rewards; the supply is this and the allocations.
    """

    parameters: NetworkParameters
    profile: Profile
    terms: PaymentTerms
    genesis_s: int
    beacon_anchor: bytes
    members: Sequence[MemberSeat]
    allocations: Sequence[tuple[bytes, int]]
    vault_wei: int

    @property
    def supply_wei(self) -> int:
        """All tokens that will ever exist."""
        return self.vault_wei + sum(amount for _, amount in self.allocations)

    def hash(self) -> bytes:
        """32 bytes that differ when anything in the request differs."""
        described = repr(
            (
                sorted(self.parameters.to_map().items()),
                self.profile,
                self.terms,
                self.genesis_s,
                self.beacon_anchor,
                [(seat.owner, seat.signer, seat.url) for seat in self.members],
                list(self.allocations),
                self.vault_wei,
            )
        )
        return keccak256(described.encode())


Addresses = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Creation:
    """One contract to create.

    Args:
        name: its name in the layout.
        artifact: the compiled contract it is made from.
        arguments: constructor arguments, given where everything will stand.
    """

    name: str
    artifact: str
    arguments: Callable[[Addresses], Sequence[object]]

    def call(self, addresses: Addresses) -> Call:
        """Return the transaction that creates it."""
        code = load_artifact(self.artifact).deployment_code(self.arguments(addresses))
        return Call(None, code, label=f"create {self.name}")


def creations(request: DeploymentRequest, deployer: bytes, chain_id: int) -> list[Creation]:
    """List the contracts in the order in which they are created."""
    params = request.parameters.to_map()
    pinned = {name: params[name] for name in PINNED_PARAMETERS}

    def parameters(at: Addresses) -> Sequence[object]:
        return (
            at["QNetTimelock"],
            [parameter_key(name) for name in params],
            list(params.values()),
            [pinned.get(name, bounds.low_on(chain_id)) for name, bounds in BOUNDS.items()],
            [pinned.get(name, bounds.high) for name, bounds in BOUNDS.items()],
        )

    def epochs(at: Addresses) -> Sequence[object]:
        return (*_known("Epochs")(at), request.genesis_s, request.beacon_anchor)

    def committee(at: Addresses) -> Sequence[object]:
        seats = [(seat.owner, seat.signer, seat.url) for seat in request.members]
        return (*_known("Committee")(at), seats)

    def channels(at: Addresses) -> Sequence[object]:
        terms = request.terms
        values = (terms.issuance_epochs, terms.unit_wei, terms.bond_wei)
        return (*_known("PremiumChannels")(at), terms.deadlines(), *values)

    return [
        Creation("QNetToken", "QNetToken", lambda _: (deployer, request.supply_wei)),
        Creation("Parameters", "Parameters", parameters),
        Creation(
            "QNetTimelock",
            "QNetTimelock",
            lambda at: (*_known("QNetTimelock")(at), at["QNetGovernor"]),
        ),
        Creation("Epochs", "Epochs", epochs),
        Creation("Committee", "Committee", committee),
        *_proxied("NodeRegistry"),
        *_proxied("StakeHub"),
        *_proxied("ReportOracle"),
        *(
            Creation(name, name, _known(name))
            for name in ("RewardVault", "QNetGovernor", "VersionRegistry", "Slasher")
        ),
        *_proxied("DisputeCourt"),
        Creation("PremiumChannels", "PremiumChannels", channels),
    ]


def _known(name: str) -> Callable[[Addresses], Sequence[object]]:
    """The contracts that a constructor is told: the owner, if it has one, then its links."""
    links = (["QNetTimelock"] if name in OWNED else []) + list(LINKS[name].values())
    return lambda at: tuple(at[link] for link in links)


def _proxied(name: str) -> list[Creation]:
    """List an upgradeable contract: its code, then the proxy that holds its state."""
    entry = load_artifact(name).abi.function("initialize")
    appointed = APPOINTED.get(name, {}).values()

    def proxy(at: Addresses) -> Sequence[object]:
        first = [at[link] for link in appointed]
        return (at[name + IMPLEMENTATION], entry.encode_call(first))

    return [Creation(name + IMPLEMENTATION, name, _known(name)), Creation(name, PROXY, proxy)]


def made_address(maker: bytes) -> bytes:
    """Address (20 bytes) of the first contract that a contract makes; its count begins with 1."""
    return create_address(maker, 1)


def create_address(deployer: bytes, nonce: int) -> bytes:
    """Address (20 bytes) of the contract an account creates with a nonce.

    Source: Ethereum yellow paper, section 7: keccak256(rlp([sender, nonce])).
    """
    encoded_nonce = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    if nonce == 0 or nonce >= 0x80:
        encoded_nonce = bytes([0x80 + len(encoded_nonce)]) + encoded_nonce
    payload = bytes([0x80 + len(deployer)]) + deployer + encoded_nonce
    return keccak256(bytes([0xC0 + len(payload)]) + payload)[12:]
