"""Whose signatures count: the members of a committee and their quorum.

Source: docs/spec/messages.md, QN-MSG-006; docs/spec/directory.md, section Trust.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from qnet.crypto.keys import EVM_SIGNATURE_BYTES, keccak256, recover
from qnet.errors import CryptoError

MAX_MEMBERS: Final = 256
"""Seats a Committee contract can ever have; former members keep theirs."""
BITMAP_BYTES: Final = 32
NO_SIGNER: Final = bytes(20)
"""Stands in the place of a member who does not sign any more; nobody can sign for it."""
_SET_CONTEXT: Final = b"qnet committee set 1\0"


@dataclass(frozen=True, slots=True)
class CommitteeTrust:
    """The committee a program trusts.

    Args:
        chain_id: EVM chain id.
        committee: Committee contract, 20 bytes.
        signers: members' signing addresses in member order, 20 bytes each.
        quorum: signatures needed.
    """

    chain_id: int
    committee: bytes
    signers: tuple[bytes, ...]
    quorum: int

    def at(self, period: int) -> Self:
        """The same committee for every period."""
        del period
        return self

    @property
    def hash(self) -> bytes:
        """Names this set of signers and its quorum, 32 bytes."""
        content = self.quorum.to_bytes(2, "big") + b"".join(self.signers)
        return keccak256(_SET_CONTEXT + content)

    def check_signatures(self, message: bytes, bitmap: int, signatures: bytes) -> None:
        """Check a quorum over a 32-byte digest, exactly as ``Committee.checkQuorum`` does.

        Args:
            message: digest that was signed.
            bitmap: bit i set for member i.
            signatures: 65 bytes for each set bit, in member order.

        Raises:
            CryptoError: too few, unknown members or a signature that does not hold.
        """
        members = [i for i in range(len(self.signers)) if bitmap >> i & 1]
        if bitmap < 0 or bitmap >> len(self.signers) or len(members) < self.quorum:
            raise CryptoError
        if len(signatures) != EVM_SIGNATURE_BYTES * len(members):
            raise CryptoError
        for place, member in enumerate(members):
            start = place * EVM_SIGNATURE_BYTES
            signature = signatures[start : start + EVM_SIGNATURE_BYTES]
            if recover(message, signature) != self.signers[member]:
                raise CryptoError


def join_signatures(parts: Mapping[int, bytes]) -> tuple[int, bytes]:
    """Return (bitmap, joined signatures) of member number → 65-byte signature."""
    bitmap = sum(1 << member for member in parts)
    return bitmap, b"".join(parts[member] for member in sorted(parts))
