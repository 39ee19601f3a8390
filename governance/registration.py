"""Entering a node into the registry: the one place where its keys meet its owner."""

from dataclasses import dataclass
from pathlib import Path

from qnet.chain.staking import NodeRegistry, Role
from qnet.chain.values import Call
from qnet.crypto.kdf import node_id_of
from qnet.crypto.keys import ReceiptKey
from qnet.errors import ConfigError
from qnet.wallet.keystore import KeyKind, load

PROOF_LIFE_S = 600
IDENTITY_FILE = Path("keys") / "identity.json"
RECEIPT_FILE = Path("keys") / "receipt.json"


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """The keys of a node that the registry knows.

    Attributes:
        identity: Ed25519 public key, 32 bytes.
        receipt: secp256k1 key that signs receipts and the proof of possession.
    """

    identity: bytes
    receipt: ReceiptKey

    @property
    def node_id(self) -> bytes:
        """BLAKE3 of the identity key, 32 bytes."""
        return node_id_of(self.identity)


def load_node_keys(home: Path, passphrase: str) -> NodeKeys:
    """Read a node's public identity and open its receipt key.

    Args:
        home: the node's folder, as `qnet node init` made it.
        passphrase: opens the receipt key.

    Raises:
        NotFoundError: a keystore is missing.
        ConfigError: a keystore holds another kind of key.
        WrongPassphraseError: the passphrase is wrong.
    """
    identity, receipt = load(home / IDENTITY_FILE), load(home / RECEIPT_FILE)
    if identity.kind is not KeyKind.ED25519 or receipt.kind is not KeyKind.SECP256K1:
        raise ConfigError(f"{home} does not hold the keys of a node")
    return NodeKeys(identity.public, ReceiptKey(receipt.decrypt(passphrase)))


def registration(
    registry: NodeRegistry,
    keys: NodeKeys,
    *,
    role: Role,
    owner: bytes,
    payout: bytes,
    now: int,
) -> Call:
    """Build the call that registers a node; the receipt key proves that it is there.

    The contract burns `register_fee_wei` of the owner's tokens: let it take them first.

    Args:
        registry: the contract.
        keys: the node's keys.
        role: what the node will do.
        owner: account that sends the call, 20 bytes.
        payout: account that rewards go to, 20 bytes.
        now: time of the chain's latest block; the proof lasts 10 minutes.
    """
    deadline = now + PROOF_LIFE_S
    digest = registry.key_proof_digest(owner, keys.node_id, keys.receipt.address, deadline)
    return registry.register(
        role,
        node_id=keys.node_id,
        identity_key=keys.identity,
        receipt_key=keys.receipt.address,
        payout=payout,
        deadline_s=deadline,
        proof=keys.receipt.sign(digest),
    )
