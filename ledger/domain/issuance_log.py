"""The log of an issuance epoch: all that was signed blindly in it, and what stood behind it.

A request is kept as ``kind u8 | wire``, 0 for a purchase and 1 for a swap; its name is the EIP-712
digest of voucher or swap, 32 bytes. The root is a sorted Merkle tree (`qnet.merkle`) over a leaf
for each blinded point, ``keccak256(keccak256(abi.encode(uint8 5, chainId, channels, uint32 epoch,
uint8 class, bytes32 keccak256(point), bytes32 request)))``, and zero if there is none.

Source: docs/spec/payments.md, QN-PAY-050 and 070.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self, TypeAlias

from ledger.domain.issuing import PURCHASE_CLASS
from qnet import cbor
from qnet.crypto.keys import keccak256
from qnet.errors import DecodeError
from qnet.merkle import StandardTree, standard_leaf
from qnet.messages.fields import U32_MAX, U64_MAX, Fields
from qnet.messages.instruments import HASH_BYTES, Place, units_of, words
from qnet.messages.settlement import Closing
from qnet.messages.swap import CreditInput, Swap
from qnet.messages.voucher import Purchase

Request: TypeAlias = Purchase | Swap

REQUESTS_MAX: Final = 500_000
"""Names fill a document of 16 MiB."""
_KEYS: Final = frozenset({"epoch", "issued", "root", "requests"})
_PURCHASE: Final = 0
_SWAP: Final = 1
_LEAF_KIND: Final = 5
_MAX_BYTES: Final = HASH_BYTES * REQUESTS_MAX + 256


def encode_request(request: Request) -> bytes:
    """The kind and the wire form."""
    kind = _PURCHASE if isinstance(request, Purchase) else _SWAP
    return bytes([kind]) + request.encode()


def decode_request(data: bytes) -> Request:
    """Read a request; signatures and points are not checked here.

    Raises:
        DecodeError: malformed.
    """
    match data[:1]:
        case b"\x00":
            return Purchase.decode(data[1:])
        case b"\x01":
            return Swap.decode(data[1:])
        case _:
            raise DecodeError("request of unknown kind")


def epoch_of(request: Request) -> int:
    """Issuance epoch whose keys sign for it."""
    return request.voucher.epoch if isinstance(request, Purchase) else request.epoch


def name_of(request: Request, domain: bytes) -> bytes:
    """Its EIP-712 digest, 32 bytes; `domain` is that of PremiumChannels."""
    return (
        request.voucher.digest(domain) if isinstance(request, Purchase) else request.digest(domain)
    )


def points_of(request: Request) -> tuple[tuple[int, bytes], ...]:
    """(class, compressed point) of everything it asks to be signed, in order."""
    if isinstance(request, Purchase):
        return tuple((PURCHASE_CLASS, point) for point in request.points)
    return tuple((output.class_, output.point) for output in request.outputs)


@dataclass(frozen=True, slots=True)
class IssuanceLog:
    """What the committee agrees on to close an epoch.

    Args:
        epoch: issuance epoch.
        issued_units: bought in it, and rolled into it from earlier ones.
        root: over all points, 32 bytes.
        requests: names of the requests, 32 bytes each, ascending.
    """

    epoch: int
    issued_units: int
    root: bytes
    requests: tuple[bytes, ...]

    @classmethod
    def compile(
        cls, epoch: int, requests: Mapping[bytes, Request], place: Place, unit_wei: int
    ) -> Self:
        """Draw up the log of requests by name."""
        names = tuple(sorted(requests))
        leaves = [
            _leaf(place, epoch, class_, point, name)
            for name in names
            for class_, point in points_of(requests[name])
        ]
        root = StandardTree(leaves).root if leaves else bytes(HASH_BYTES)
        issued = issued_units(epoch, requests.values(), unit_wei)
        return cls(epoch, issued, root, names)

    @property
    def closing(self) -> Closing:
        """The statement that members sign."""
        return Closing(self.epoch, self.issued_units, self.root)

    def encode(self) -> bytes:
        """Deterministic CBOR."""
        return cbor.dumps(
            {
                "epoch": self.epoch,
                "issued": self.issued_units,
                "root": self.root,
                "requests": b"".join(self.requests),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a log; whether root and units follow from the requests is checked elsewhere.

        Raises:
            DecodeError: malformed, too long, or not in order.
        """
        value = cbor.loads(data, max_bytes=_MAX_BYTES, max_depth=1)
        fields = Fields(value, _KEYS, "issuance log")
        requests = split_names(value, "requests", REQUESTS_MAX)
        return cls(
            fields.uint("epoch", U32_MAX),
            fields.uint("issued", U64_MAX),
            fields.octets("root", HASH_BYTES),
            requests,
        )


def split_names(value: object, key: str, maximum: int) -> tuple[bytes, ...]:
    """Read the joined names of 32 bytes in a map, strictly ascending; there may be none.

    Raises:
        DecodeError: malformed, too many, or not in order.
    """
    joined = value.get(key) if isinstance(value, dict) else None
    if not isinstance(joined, bytes) or len(joined) % HASH_BYTES:
        raise DecodeError(f"{key} are not names of {HASH_BYTES} bytes")
    if len(joined) > HASH_BYTES * maximum:
        raise DecodeError(f"{key} are more than {maximum}")
    names = tuple(joined[start : start + HASH_BYTES] for start in range(0, len(joined), HASH_BYTES))
    if any(low >= high for low, high in pairwise(names)):
        raise DecodeError(f"{key} are not in ascending order")
    return names


def issued_units(epoch: int, requests: Iterable[Request], unit_wei: int) -> int:
    """Units that came into an epoch: paid for in it, and given up of earlier epochs.

    Two vouchers that a channel signed for the same money stand for it once, and so do two swaps
    that give up the same instrument: of such two at most one was completed.
    """
    paid: dict[bytes, list[tuple[int, int]]] = {}
    rolled: dict[bytes, int] = {}
    for request in requests:
        if isinstance(request, Purchase):
            voucher = request.voucher
            until = voucher.cumulative_wei
            since = until - request.units * unit_wei
            paid.setdefault(voucher.channel, []).append((since, until))
            continue
        for entry in request.inputs:
            if entry.epoch < epoch:
                if isinstance(entry, CreditInput):
                    units = units_of(entry.class_)
                else:
                    units = request.units_out  # a token comes alone
                rolled[entry.name] = max(rolled.get(entry.name, 0), units)
    bought = sum(_covered(spans) for spans in paid.values())
    return bought // unit_wei + sum(rolled.values())


def _covered(spans: Iterable[tuple[int, int]]) -> int:
    """Length of the union of intervals."""
    total, reached = 0, 0
    for since, until in sorted(spans):
        total += max(until - max(since, reached), 0)
        reached = max(reached, until)
    return total


def _leaf(place: Place, epoch: int, class_: int, point: bytes, request: bytes) -> bytes:
    return standard_leaf(
        words(_LEAF_KIND, place.chain_id, place.channels, epoch, class_, keccak256(point), request)
    )
