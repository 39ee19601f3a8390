"""What a client and its mailbox node tell each other: fresh ids, claims of addresses.

Both are units of a PACKETS record with `next` 0 and have the size of a packet, so that who counts
bytes on the link cannot tell them from one.

Source: docs/spec/mixnet.md, section Mailboxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from node.mix.packet import ID_BYTES, PACKET_BYTES
from qnet.codec import Reader, Writer
from qnet.crypto.kdf import Label, derive_key
from qnet.crypto.keys import PUBLIC_BYTES, DhKey, constant_time_equal
from qnet.errors import DecodeError, LocalProtocolError

REQUEST: Final = 3
GRANT: Final = 4
MAX_IDS: Final = 128
MAX_CLAIMS: Final = 8
PROOF_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Claim:
    """Says that deliveries to an address of this node shall come over this link.

    Args:
        key: X25519 public key of the address, 32 bytes.
        phase: key phase whose onion key of the node the proof is made with, u24.
        proof: shows that the claimant has the address's secret, 16 bytes.
    """

    key: bytes
    phase: int
    proof: bytes = field(repr=False)

    def is_proven(self, shared: bytes, node_index: int) -> bool:
        """Whether the claimant has the secret.

        Args:
            shared: X25519(onion key of `phase`, `key`), 32 bytes.
            node_index: registry index of the node that keeps the mailbox.
        """
        return constant_time_equal(self.proof, _proof(shared, self.key, node_index, self.phase))


def make_claim(key: DhKey, node_index: int, node_key: bytes, phase: int) -> Claim:
    """Prove to a node that we have the secret of an address there.

    Args:
        key: of the address.
        node_index: registry index of the node.
        node_key: its onion key of `phase`, 32 bytes.
        phase: key phase that the node accepts, u24.

    Raises:
        CryptoError: the onion key has low order.
    """
    proof = _proof(key.exchange(node_key), key.public, node_index, phase)
    return Claim(key.public, phase, proof)


def _proof(shared: bytes, key: bytes, node_index: int, phase: int) -> bytes:
    material = Writer().take(shared).take(key).u32(node_index).u24(phase).bytes()
    return derive_key(Label.MIX_CLAIM, material, PROOF_BYTES)


@dataclass(frozen=True, slots=True)
class MailboxRequest:
    """What a client asks of its node.

    Args:
        phase: current key phase of the client, u24.
        ids: how many fresh delivery ids it wants, at most 128.
        claims: of its addresses, at most 8.
    """

    phase: int
    ids: int = 0
    claims: Sequence[Claim] = ()

    def encode(self) -> bytes:
        """Return it in the size of a packet.

        Raises:
            LocalProtocolError: too many ids or claims.
        """
        if self.ids > MAX_IDS or len(self.claims) > MAX_CLAIMS:
            raise LocalProtocolError("a request has at most 128 ids and 8 claims")
        writer = Writer().u8(REQUEST).u24(self.phase).u16(self.ids).u8(len(self.claims))
        for claim in self.claims:
            writer.take(claim.key).u24(claim.phase).take(claim.proof)
        return writer.bytes().ljust(PACKET_BYTES, b"\0")


def decode_request(data: bytes) -> MailboxRequest:
    """Read a request.

    Raises:
        DecodeError: another size or first byte, too many ids or claims, or bytes behind them.
    """
    reader = _reader(data, REQUEST)
    phase, ids, count = reader.u24(), reader.u16(), reader.u8()
    if ids > MAX_IDS or count > MAX_CLAIMS:
        raise DecodeError("mailbox request: too many ids or claims")
    claims = tuple(
        Claim(reader.take(PUBLIC_BYTES), reader.u24(), reader.take(PROOF_BYTES))
        for _ in range(count)
    )
    _finish(reader)
    return MailboxRequest(phase, ids, claims)


@dataclass(frozen=True, slots=True)
class MailboxGrant:
    """What the node answers.

    Args:
        phase: its key phase, u24.
        ids: fresh delivery ids, 16 bytes each, at most 128.
        accepted: bit i, from the lowest, says that claim i of the request holds now.
    """

    phase: int
    ids: Sequence[bytes] = ()
    accepted: int = 0

    def encode(self) -> bytes:
        """Return it in the size of a packet.

        Raises:
            LocalProtocolError: too many ids, or one of another size.
        """
        if len(self.ids) > MAX_IDS or any(len(each) != ID_BYTES for each in self.ids):
            raise LocalProtocolError("a grant has at most 128 ids of 16 bytes")
        writer = Writer().u8(GRANT).u24(self.phase).u16(len(self.ids)).take(b"".join(self.ids))
        return writer.u8(self.accepted).bytes().ljust(PACKET_BYTES, b"\0")


def decode_grant(data: bytes) -> MailboxGrant:
    """Read a grant.

    Raises:
        DecodeError: another size or first byte, too many ids, or bytes behind them.
    """
    reader = _reader(data, GRANT)
    phase, count = reader.u24(), reader.u16()
    if count > MAX_IDS:
        raise DecodeError("mailbox grant: too many ids")
    ids = tuple(reader.take(ID_BYTES) for _ in range(count))
    accepted = reader.u8()
    _finish(reader)
    return MailboxGrant(phase, ids, accepted)


def _reader(data: bytes, kind: int) -> Reader:
    reader = Reader(data)
    if len(data) != PACKET_BYTES or reader.u8() != kind:
        raise DecodeError("malformed mailbox control")
    return reader


def _finish(reader: Reader) -> None:
    if any(reader.rest()):
        raise DecodeError("mailbox control: bytes behind its content")
