"""Signed bodies of calls between committee members.

A signature binds the path, the recipient, the time and a nonce, so that a call cannot be sent
again, to somebody else or under another name.

Source: docs/spec/messages.md, section Calls between members.
"""

from dataclasses import dataclass
from typing import Final, Self

from qnet import cbor
from qnet.crypto.keys import (
    ADDRESS_BYTES,
    EVM_SIGNATURE_BYTES,
    ReceiptKey,
    constant_time_equal,
    keccak256,
    recover,
)
from qnet.eip712 import digest
from qnet.errors import CryptoError, RemoteProtocolError
from qnet.messages.fields import U64_MAX, Fields

PEER_VERSION: Final = 1
PEER_TYPE: Final = (
    "PeerCall(string path,address recipient,uint64 timestamp,bytes16 nonce,bytes32 bodyHash)"
)
NONCE_BYTES: Final = 16
MAX_BODY_BYTES: Final = 32 << 20
_ENVELOPE_BYTES: Final = 256
_KEYS: Final = frozenset({"v", "signer", "time", "nonce", "body", "sig"})


@dataclass(frozen=True, slots=True)
class SignedBody:
    """The body of one call.

    Args:
        signer: member's signing address, 20 bytes.
        timestamp: unix seconds at signing.
        nonce: 16 fresh random bytes.
        body: what is said, deterministic CBOR as a rule.
        signature: EIP-712 ``PeerCall`` in the Committee's domain, 65 bytes.
    """

    signer: bytes
    timestamp: int
    nonce: bytes
    body: bytes
    signature: bytes

    @classmethod
    def sign(
        cls,
        key: ReceiptKey,
        *,
        domain: bytes,
        path: str,
        recipient: bytes,
        timestamp: int,
        nonce: bytes,
        body: bytes,
    ) -> Self:
        """Sign a body for one recipient and one path.

        Args:
            key: member's signing key.
            domain: `qnet_domain` of the Committee.
            path: HTTP path of the call.
            recipient: signing address of the member called, 20 bytes.
            timestamp: unix seconds.
            nonce: 16 fresh random bytes.
            body: at most 32 MiB.
        """
        message = _digest(domain, path, recipient, timestamp, nonce, body)
        return cls(key.address, timestamp, nonce, body, key.sign(message))

    def encode(self) -> bytes:
        """Wire form, deterministic CBOR."""
        return cbor.dumps(
            {
                "v": PEER_VERSION,
                "signer": self.signer,
                "time": self.timestamp,
                "nonce": self.nonce,
                "body": self.body,
                "sig": self.signature,
            }
        )

    @classmethod
    def decode(cls, data: bytes, *, max_body_bytes: int = MAX_BODY_BYTES) -> Self:
        """Read a signed body; :meth:`verify` checks it.

        Raises:
            DecodeError: malformed or out of bounds.
        """
        value = cbor.loads(data, max_bytes=max_body_bytes + _ENVELOPE_BYTES, max_depth=1)
        fields = Fields(value, _KEYS, "signed body")
        fields.uint("v", PEER_VERSION, minimum=PEER_VERSION)
        body = fields.blob("body", multiple=1, maximum=max_body_bytes)
        return cls(
            signer=fields.octets("signer", ADDRESS_BYTES),
            timestamp=fields.uint("time", U64_MAX),
            nonce=fields.octets("nonce", NONCE_BYTES),
            body=body,
            signature=fields.octets("sig", EVM_SIGNATURE_BYTES),
        )

    def verify(self, *, domain: bytes, path: str, recipient: bytes) -> None:
        """Check the signature for this path and recipient.

        Raises:
            CryptoError: it does not hold.
        """
        message = _digest(domain, path, recipient, self.timestamp, self.nonce, self.body)
        if not constant_time_equal(recover(message, self.signature), self.signer):
            raise CryptoError


class NonceWindow:
    """Remembers calls, so that each is answered once.

    Args:
        max_age_s: calls older, or further in the future, are refused.
        capacity: nonces kept; when full, calls are refused until some expire.
    """

    __slots__ = ("_capacity", "_max_age_s", "_seen")

    def __init__(self, *, max_age_s: int, capacity: int = 100_000) -> None:
        self._max_age_s = max_age_s
        self._capacity = capacity
        self._seen: dict[tuple[bytes, bytes], int] = {}

    def admit(self, call: SignedBody, now: float) -> None:
        """Take note of a verified call.

        Raises:
            RemoteProtocolError: too old, from the future, seen before, or too many calls.
        """
        if abs(now - call.timestamp) > self._max_age_s:
            raise RemoteProtocolError(
                "signed body is outside its time",
                why=f"signed at {call.timestamp}, received at {int(now)}, "
                f"allowed difference {self._max_age_s} s",
            )
        key = (call.signer, call.nonce)
        if key in self._seen:
            raise RemoteProtocolError("signed body was received before")
        if len(self._seen) >= self._capacity:
            self._forget(now)
        if len(self._seen) >= self._capacity:
            raise RemoteProtocolError("too many calls within the time window")
        self._seen[key] = call.timestamp

    def _forget(self, now: float) -> None:
        oldest = now - self._max_age_s
        self._seen = {key: time for key, time in self._seen.items() if time >= oldest}


def _digest(
    domain: bytes, path: str, recipient: bytes, timestamp: int, nonce: bytes, body: bytes
) -> bytes:
    return digest(domain, PEER_TYPE, (path, recipient, timestamp, nonce, keccak256(body)))
