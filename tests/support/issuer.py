"""A whole committee's issuance keys in one hand: credits and tokens for tests of what follows."""

import secrets
from dataclasses import dataclass, field

from qnet.chain.values import TxReceipt
from qnet.crypto import bls
from qnet.crypto.hash_chain import HashChain
from qnet.crypto.keys import ReceiptKey
from qnet.crypto.points import G1, G2
from qnet.crypto.scalars import Scalar, random_scalar
from qnet.issuance import IssuanceClock
from qnet.messages.claims import SpentToken
from qnet.messages.instruments import KEYS, TOKEN_CLASS, Place, Unit, token_id_of
from qnet.messages.settlement import keys_digest
from qnet.messages.swap import CreditInput
from qnet.messages.voucher import Purchase
from tests.support.anvil import ChainFixture

EPOCH = 1
"""Issuance epoch of these tests."""
BITMAP = 0b111
"""The members whose quorum the chain's fixture signs with."""


def _secrets() -> tuple[Scalar, ...]:
    return tuple(random_scalar(secrets.token_bytes) for _ in range(KEYS))


@dataclass(frozen=True, slots=True)
class HeldToken:
    """A token with everything its owner knows."""

    epoch: int
    relay: int
    chain: HashChain
    refund: ReceiptKey
    signature: bytes

    def spent(self, k: int) -> SpentToken:
        """The token as its relay holds it after k units."""
        unit = Unit(k, self.chain.preimage(k))
        return SpentToken(self.chain.top, self.refund.address, self.signature, unit)


@dataclass(frozen=True, slots=True)
class Issuer:
    """The secrets of one issuance epoch.

    Args:
        place: deployment.
        epoch: issuance epoch.
    """

    place: Place
    epoch: int
    secrets: tuple[Scalar, ...] = field(default_factory=_secrets)

    @property
    def keys(self) -> list[bytes]:
        """The eight public keys, 256 bytes each."""
        return [(G2.generator() * secret).encode_eip2537() for secret in self.secrets]

    def sign(self, class_: int, message: bytes) -> bytes:
        """Signature of a message, 48 bytes."""
        return (bls.hash_to_g1(message) * self.secrets[class_]).encode()

    def sign_point(self, class_: int, point: bytes) -> bytes:
        """Signature of a blinded point, 48 bytes each."""
        return (G1.decode(point) * self.secrets[class_]).encode()

    def credit(self, class_: int, key: ReceiptKey) -> CreditInput:
        """A credit of a key."""
        message = self.place.credit(self.epoch, class_, key.address)
        return CreditInput(self.epoch, class_, key.address, self.sign(class_, message))

    def token(self, relay: int) -> HeldToken:
        """A fresh token."""
        chain, refund = HashChain(secrets.token_bytes(32)), ReceiptKey.generate()
        token_id = token_id_of(chain.top, refund.address)
        signature = self.sign(TOKEN_CLASS, self.place.token(self.epoch, relay, token_id))
        return HeldToken(self.epoch, relay, chain, refund, signature)


def blinded_points(count: int) -> list[bytes]:
    """Points that stand for blinded messages, 48 bytes each."""
    return [bls.hash_to_g1(secrets.token_bytes(32)).encode() for _ in range(count)]


async def issuance_clock(chain: ChainFixture) -> IssuanceClock:
    """The calendar of a deployment."""
    return IssuanceClock(
        await chain.contracts.epochs.clock(), await chain.contracts.channels.terms()
    )


async def register(chain: ChainFixture, epoch: int = EPOCH) -> Issuer:
    """Bring an epoch's keys onto the chain, in the epoch before."""
    channels = chain.contracts.channels
    start, _ = (await issuance_clock(chain)).bounds(epoch - 1)
    if await chain.control.now() < start:
        await chain.control.warp(start)
    issuer = Issuer(channels.place, epoch)
    keys_hash = channels.place.keys_hash(epoch, issuer.keys)
    signed = chain.quorum_signatures(keys_digest(channels.domain, epoch, keys_hash))
    deployer = chain.network.deployer
    await chain.send(deployer, channels.register_keys(epoch, keys_hash, BITMAP, signed))
    return issuer


async def bought(
    chain: ChainFixture, user: ReceiptKey, count: int = 2, nonce: int = 1, before_wei: int = 0
) -> tuple[Purchase, TxReceipt]:
    """A collected voucher of so many points."""
    channels = chain.contracts.channels
    terms = await channels.terms()
    purchase = Purchase.make(
        user,
        channels.domain,
        blinded_points(count),
        cumulative_wei=before_wei + 64 * count * terms.unit_wei,
        nonce=nonce,
        epoch=EPOCH,
    )
    collect = channels.collect([purchase.voucher], [purchase.signature])
    return purchase, await chain.send(chain.network.deployer, collect)
