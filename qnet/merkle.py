"""Merkle tree of OpenZeppelin's `StandardMerkleTree`: what contracts verify with `MerkleProof`.

Leaves are hashed twice and sorted by their hash; a pair is hashed in ascending order, so a proof
needs no directions. The tree of n leaves is an array of 2n - 1 nodes, root first, whose leaves
stand at the end in reverse order.
"""

from collections.abc import Sequence
from typing import Final

from qnet.crypto.keys import keccak256
from qnet.errors import LocalProtocolError

HASH_BYTES: Final = 32
MAX_PROOF_HASHES: Final = 64
"""A tree this deep has more leaves than anybody can make; longer proofs are refused unread."""


def standard_leaf(encoded: bytes) -> bytes:
    """Hash a leaf twice, so that no inner node (64 bytes, hashed once) can pass for one.

    Args:
        encoded: the ABI encoding of the leaf's fields.
    """
    return keccak256(keccak256(encoded))


def _hash_pair(left: bytes, right: bytes) -> bytes:
    return keccak256(left + right if left < right else right + left)


class StandardTree:
    """A tree over leaf hashes; proofs are asked for by the leaf's place in the input.

    Args:
        leaf_hashes: at least one hash of 32 bytes, in any order.

    Raises:
        LocalProtocolError: no leaf, or one that is not 32 bytes.
    """

    __slots__ = ("_nodes", "_positions")

    def __init__(self, leaf_hashes: Sequence[bytes]) -> None:
        count = len(leaf_hashes)
        if count == 0:
            raise LocalProtocolError("a Merkle tree needs at least one leaf")
        if any(len(leaf) != HASH_BYTES for leaf in leaf_hashes):
            raise LocalProtocolError(f"a leaf hash has {HASH_BYTES} bytes")
        last = 2 * count - 2
        nodes = [b""] * (last + 1)
        positions = [0] * count
        in_hash_order = sorted(range(count), key=lambda index: leaf_hashes[index])
        for rank, index in enumerate(in_hash_order):
            nodes[last - rank] = leaf_hashes[index]
            positions[index] = last - rank
        for parent in range(count - 2, -1, -1):
            nodes[parent] = _hash_pair(nodes[2 * parent + 1], nodes[2 * parent + 2])
        self._nodes = nodes
        self._positions = positions

    @property
    def root(self) -> bytes:
        """The root, 32 bytes."""
        return self._nodes[0]

    def proof(self, index: int) -> list[bytes]:
        """Return the siblings from the leaf up to the root.

        Args:
            index: place of the leaf in the sequence the tree was made from.

        Raises:
            LocalProtocolError: no leaf stands there.
        """
        if not 0 <= index < len(self._positions):
            raise LocalProtocolError(f"no leaf {index} in a tree of {len(self._positions)}")
        position = self._positions[index]
        siblings = []
        while position > 0:
            siblings.append(self._nodes[position + 1 if position % 2 else position - 1])
            position = (position - 1) // 2
        return siblings


def verify(root: bytes, leaf_hash: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether `proof` leads from `leaf_hash` to `root`.

    Source: OpenZeppelin MerkleProof.processProof.
    """
    if len(proof) > MAX_PROOF_HASHES or any(len(node) != HASH_BYTES for node in proof):
        return False
    computed = leaf_hash
    for sibling in proof:
        computed = _hash_pair(computed, sibling)
    return computed == root
