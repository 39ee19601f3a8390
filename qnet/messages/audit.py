"""What committee members say about the nodes they probed: commitment first, results after.

Every result is signed on its own, so that a single one can be shown to a contract.

Source: docs/spec/messages.md, section Audits.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from qnet.codec import Reader, Writer
from qnet.crypto.keys import EVM_SIGNATURE_BYTES, ReceiptKey, keccak256, recover
from qnet.eip712 import digest
from qnet.errors import CryptoError, DecodeError
from qnet.merkle import StandardTree, standard_leaf
from qnet.messages.receipt import MAX_SLOTS_PER_EPOCH

AUDIT_RESULT_TYPE: Final = (
    "AuditResult(uint32 epoch,uint16 slot,uint32 auditor,uint32 target,uint32 sent,"
    "uint32 returned,uint32 p50Ms,bytes32 probeRoot)"
)
CAPACITY_RESULT_TYPE: Final = (
    "CapacityResult(uint32 epoch,uint32 auditor,uint32 target,uint64 size,uint64 micros)"
)
AUDIT_COMMIT_TYPE: Final = "AuditCommit(uint32 epoch,uint16 slot,uint32 auditor,bytes32 commitment)"
AUDIT_VERSION: Final = 1
MAX_TARGETS: Final = 20_000
"""Results in one reveal, and capacity results beside them."""
SALT_BYTES: Final = 32
NO_PROBES: Final = bytes(32)
"""Root of a result without probes."""
LOST: Final = 0xFFFFFFFF
"""Round trip of a probe that did not return."""

_RESULT_BYTES: Final = 4 + 4 + 4 + 4 + 32 + EVM_SIGNATURE_BYTES
_CAPACITY_BYTES: Final = 4 + 8 + 8 + EVM_SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class AuditResult:
    """One auditor's probes of one target in one slot.

    Args:
        epoch: reward epoch.
        slot: slot within the epoch.
        auditor: number of the committee member.
        target: registry index of the node probed.
        sent: probes that count (their control probe succeeded).
        returned: those answered in time.
        p50_ms: median round trip of the answered ones, 0 if none.
        probe_root: Merkle root over the probes, 32 bytes (see :func:`probe_root`).
    """

    epoch: int
    slot: int
    auditor: int
    target: int
    sent: int
    returned: int
    p50_ms: int
    probe_root: bytes

    def digest(self, domain: bytes) -> bytes:
        """EIP-712 digest, 32 bytes; `domain` is the ReportOracle's."""
        values = (
            self.epoch,
            self.slot,
            self.auditor,
            self.target,
            self.sent,
            self.returned,
            self.p50_ms,
            self.probe_root,
        )
        return digest(domain, AUDIT_RESULT_TYPE, values)

    def sign(self, key: ReceiptKey, domain: bytes) -> "SignedAuditResult":
        """Sign with the member's key."""
        return SignedAuditResult(self, key.sign(self.digest(domain)))


@dataclass(frozen=True, slots=True)
class SignedAuditResult:
    """A result with the member's 65-byte signature."""

    result: AuditResult
    signature: bytes

    def verify(self, domain: bytes, signer: bytes) -> None:
        """Check that the member's address signed.

        Raises:
            CryptoError: it did not.
        """
        if recover(self.result.digest(domain), self.signature) != signer:
            raise CryptoError


@dataclass(frozen=True, slots=True)
class CapacityResult:
    """One burst: how fast a target delivered.

    Args:
        epoch: reward epoch.
        auditor: number of the committee member.
        target: registry index of the node measured.
        size_bytes: bytes received.
        micros: microseconds it took, at least 1.
    """

    epoch: int
    auditor: int
    target: int
    size_bytes: int
    micros: int

    @property
    def kbps(self) -> int:
        """Rate in kilobit per second, rounded down."""
        return self.size_bytes * 8000 // self.micros

    def digest(self, domain: bytes) -> bytes:
        """EIP-712 digest, 32 bytes; `domain` is the ReportOracle's."""
        values = (self.epoch, self.auditor, self.target, self.size_bytes, self.micros)
        return digest(domain, CAPACITY_RESULT_TYPE, values)

    def sign(self, key: ReceiptKey, domain: bytes) -> "SignedCapacityResult":
        """Sign with the member's key."""
        return SignedCapacityResult(self, key.sign(self.digest(domain)))


@dataclass(frozen=True, slots=True)
class SignedCapacityResult:
    """A capacity result with the member's 65-byte signature."""

    result: CapacityResult
    signature: bytes

    def verify(self, domain: bytes, signer: bytes) -> None:
        """Check that the member's address signed.

        Raises:
            CryptoError: it did not.
        """
        if recover(self.result.digest(domain), self.signature) != signer:
            raise CryptoError


@dataclass(frozen=True, slots=True)
class AuditCommit:
    """Promise of a reveal, made before any member has seen another's results.

    Args:
        epoch: reward epoch.
        slot: slot within the epoch.
        auditor: number of the committee member.
        commitment: :attr:`AuditReveal.commitment`, 32 bytes.
    """

    epoch: int
    slot: int
    auditor: int
    commitment: bytes

    def digest(self, domain: bytes) -> bytes:
        """EIP-712 digest, 32 bytes; `domain` is the ReportOracle's."""
        values = (self.epoch, self.slot, self.auditor, self.commitment)
        return digest(domain, AUDIT_COMMIT_TYPE, values)


@dataclass(frozen=True, slots=True)
class AuditReveal:
    """Everything one member found in one slot.

    Args:
        epoch: reward epoch.
        slot: slot within the epoch.
        auditor: number of the committee member.
        salt: 32 fresh random bytes, so that the commitment says nothing.
        results: ascending by target.
        capacities: ascending by target.
    """

    epoch: int
    slot: int
    auditor: int
    salt: bytes
    results: tuple[SignedAuditResult, ...]
    capacities: tuple[SignedCapacityResult, ...]

    @property
    def commitment(self) -> bytes:
        """Keccak-256 of the encoding, 32 bytes."""
        return keccak256(self.encode())

    def encode(self) -> bytes:
        """Wire form: head, salt, results of 113 bytes, capacity results of 85 bytes."""
        writer = Writer().u8(AUDIT_VERSION).u32(self.epoch).u16(self.slot).u32(self.auditor)
        writer.take(self.salt).u32(len(self.results)).u32(len(self.capacities))
        for signed in self.results:
            body = signed.result
            writer.u32(body.target).u32(body.sent).u32(body.returned).u32(body.p50_ms)
            writer.take(body.probe_root).take(signed.signature)
        for burst in self.capacities:
            measured = burst.result
            writer.u32(measured.target).u64(measured.size_bytes).u64(measured.micros)
            writer.take(burst.signature)
        return writer.bytes()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a reveal; signatures are checked by :meth:`verify`.

        Raises:
            DecodeError: malformed, out of bounds or not in ascending order.
        """
        reader = Reader(data)
        if reader.u8() != AUDIT_VERSION:
            raise DecodeError("audit reveal: unknown version")
        epoch, slot, auditor = reader.u32(), reader.u16(), reader.u32()
        salt, count, bursts = reader.take(SALT_BYTES), reader.u32(), reader.u32()
        if slot >= MAX_SLOTS_PER_EPOCH or count > MAX_TARGETS or bursts > MAX_TARGETS:
            raise DecodeError("audit reveal: slot or number of results out of bounds")
        if reader.remaining != count * _RESULT_BYTES + bursts * _CAPACITY_BYTES:
            raise DecodeError("audit reveal: size does not match its counts")
        results = tuple(_read_result(reader, epoch, slot, auditor) for _ in range(count))
        capacities = tuple(_read_capacity(reader, epoch, auditor) for _ in range(bursts))
        _check_ascending([signed.result.target for signed in results])
        _check_ascending([signed.result.target for signed in capacities])
        return cls(epoch, slot, auditor, salt, results, capacities)

    def verify(self, domain: bytes, signer: bytes) -> None:
        """Check every signature against the member's address.

        Raises:
            CryptoError: one does not hold.
        """
        for signed in self.results:
            signed.verify(domain, signer)
        for burst in self.capacities:
            burst.verify(domain, signer)


def probe_root(rtt_micros: Sequence[int]) -> bytes:
    """Merkle root over probes in the order sent.

    Args:
        rtt_micros: round trip of each, or LOST; leaf = (sequence u32, round trip u32) as ABI words.

    Returns:
        32 bytes; NO_PROBES without probes.
    """
    if not rtt_micros:
        return NO_PROBES
    leaves = [
        standard_leaf(sequence.to_bytes(32, "big") + min(rtt, LOST).to_bytes(32, "big"))
        for sequence, rtt in enumerate(rtt_micros)
    ]
    return StandardTree(leaves).root


def _read_result(reader: Reader, epoch: int, slot: int, auditor: int) -> SignedAuditResult:
    target, sent, returned, p50_ms = reader.u32(), reader.u32(), reader.u32(), reader.u32()
    if not target or returned > sent:
        raise DecodeError("audit reveal: more probes returned than sent, or no target")
    root, signature = reader.take(32), reader.take(EVM_SIGNATURE_BYTES)
    body = AuditResult(epoch, slot, auditor, target, sent, returned, p50_ms, root)
    return SignedAuditResult(body, signature)


def _read_capacity(reader: Reader, epoch: int, auditor: int) -> SignedCapacityResult:
    target, size_bytes, micros = reader.u32(), reader.u64(), reader.u64()
    if not target or not micros:
        raise DecodeError("audit reveal: a burst without target or duration")
    body = CapacityResult(epoch, auditor, target, size_bytes, micros)
    return SignedCapacityResult(body, reader.take(EVM_SIGNATURE_BYTES))


def _check_ascending(targets: Sequence[int]) -> None:
    if any(left >= right for left, right in itertools.pairwise(targets)):
        raise DecodeError("audit reveal: targets are not strictly ascending")
