"""Descriptors a node keeps to serve: its own, and those of others, the newest of each node.

Source: docs/spec/directory.md, section Exchange.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from qnet.messages.consensus import MAX_NODES, Consensus
from qnet.messages.descriptor import SignedDescriptor

DESCRIPTOR_CACHE_BYTES: Final = 32 << 20
"""Wire forms kept at most; further ones are not taken."""


@dataclass(frozen=True, slots=True)
class _Held:
    published: int
    digest: bytes
    wire: bytes


class DescriptorCache:
    """The newest descriptors, by registry index and by digest; all of them verified.

    Args:
        max_bytes: wire forms kept.
    """

    __slots__ = ("_by_digest", "_by_index", "_max_bytes", "own", "size_bytes")

    def __init__(self, *, max_bytes: int = DESCRIPTOR_CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._by_index: dict[int, _Held] = {}
        self._by_digest: dict[bytes, int] = {}
        self.own = b""
        """Wire form of this node's newest descriptor."""
        self.size_bytes = 0

    def __len__(self) -> int:
        """Descriptors held."""
        return len(self._by_index)

    def store(self, signed: SignedDescriptor, consensus: Consensus) -> bool:
        """Keep a verified descriptor if it is of a listed node and newer than the one held.

        Args:
            signed: descriptor whose signatures hold.
            consensus: in force; its node must have the same identity.
        """
        descriptor = signed.descriptor
        listed = consensus.by_index.get(descriptor.index)
        if listed is None or listed.identity != descriptor.identity:
            return False
        held = self._by_index.get(descriptor.index)
        if held is not None and held.published >= descriptor.published:
            return False
        wire = signed.encode()
        growth = len(wire) - (len(held.wire) if held is not None else 0)
        if self.size_bytes + growth > self._max_bytes or len(self._by_index) > MAX_NODES:
            return False
        if held is not None:
            del self._by_digest[held.digest]
        self._by_index[descriptor.index] = _Held(descriptor.published, signed.digest, wire)
        self._by_digest[signed.digest] = descriptor.index
        self.size_bytes += growth
        return True

    def keep_listed(self, consensus: Consensus) -> None:
        """Forget the descriptors of nodes that are not listed any more."""
        for index in [index for index in self._by_index if index not in consensus.by_index]:
            held = self._by_index.pop(index)
            del self._by_digest[held.digest]
            self.size_bytes -= len(held.wire)

    def by_digest(self, digest: bytes) -> bytes | None:
        """Wire form of the descriptor with a digest (32 bytes), of this node's own for b""."""
        if not digest:
            return self.own or None
        index = self._by_digest.get(digest)
        return None if index is None else self._by_index[index].wire

    def by_index(self, indexes: Sequence[int]) -> list[bytes]:
        """Wire forms of the nodes that are known, in the order asked."""
        return [self._by_index[index].wire for index in indexes if index in self._by_index]
