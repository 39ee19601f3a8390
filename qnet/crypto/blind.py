"""Blind threshold signatures: what the signers sign tells them nothing about the message.

    wallet   B = r·H(m)            r random, or derived from the wallet's seed
    signer i S_i = x_i·B
    wallet   S_B = sum of lambda_i·S_i  (`threshold.combine`), S = S_B / r, checked before use

B is uniform in G1 without the identity whatever m is, and S is the only signature of m, so
nothing links the two, not even for a signer of unbounded power. What a signer signs it cannot
know: everything that gives a signature its value has to lie in the key.

Source: Boldyreva 2003, "Threshold Signatures, Multisignatures and Blind Signatures Based on the
Gap-Diffie-Hellman-Group Signature Scheme", sections 3 and 5 (one-more unforgeability under the
chosen-target CDH assumption).
"""

from typing import Final

from qnet.crypto.bls import hash_to_g1, verify
from qnet.crypto.kdf import Label, derive_key
from qnet.crypto.points import G1, G2
from qnet.crypto.scalars import WIDE_BYTES, Scalar, SecretScalar, random_scalar, reduce_wide
from qnet.errors import LocalProtocolError
from qnet.sampling import RandomBytes

SEED_BYTES: Final = 32
COUNTER_BYTES: Final = 8


def blinding_factor(seed: bytes, counter: int, context: bytes) -> Scalar:
    """Derive r from a wallet's seed, so that a restored wallet can unblind again.

    Signers answer a repeated request with the same answer; with the same r the wallet that lost
    its state gets the same credits. A (counter, context) pair is used for one message only.

    Args:
        seed: 32 secret bytes.
        counter: number of the request, u64.
        context: what is asked for (kind, epoch, class), any public bytes.

    Returns:
        A scalar from 1 to q - 1.

    Raises:
        LocalProtocolError: the seed is not 32 bytes or the counter is no u64.
    """
    if len(seed) != SEED_BYTES or not 0 <= counter < 1 << (8 * COUNTER_BYTES):
        raise LocalProtocolError("blinding takes a seed of 32 bytes and a counter of 64 bits")
    material = seed + counter.to_bytes(COUNTER_BYTES, "big") + context
    return reduce_wide(derive_key(Label.PAYMENT_BLINDING, material, WIDE_BYTES))


def blind_with(message: bytes, factor: Scalar) -> G1:
    """Return B = r·H(m).

    Args:
        message: 32 bytes.
        factor: r, from 1 to q - 1, used for this message only.

    Raises:
        LocalProtocolError: the message has another size, or r is 0.
    """
    if factor.is_zero():
        raise LocalProtocolError("a blinding factor is never 0")
    return hash_to_g1(message) * factor


def blind(message: bytes, random: RandomBytes) -> tuple[G1, Scalar]:
    """Return (B, r) under a fresh r from the operating system's source.

    Args:
        message: 32 bytes.
        random: `secrets.token_bytes`.
    """
    factor = random_scalar(random)
    return blind_with(message, factor), factor


def sign_blinded(share: SecretScalar, blinded: G1, random: RandomBytes) -> G1:
    """Return S_i = x_i·B.

    B was chosen by somebody else and the native multiplication takes a time that depends on the
    scalar. The share is therefore split into two random summands for each signature: what a
    stopwatch sees is independent of x_i. This hides timing on the wire; against somebody who
    shares the machine's caches it promises nothing.

    Args:
        share: x_i.
        blinded: a decoded point, so in the subgroup and not the identity.
        random: the operating system's source, 64 bytes.

    Raises:
        LocalProtocolError: the share was erased.
    """
    mask = random_scalar(random)
    return blinded * (share.reveal() - mask) + blinded * mask


def unblind(message: bytes, factor: Scalar, signed: G1, public: G2) -> G1:
    """Return the signature of `message`, never one that does not verify.

    Args:
        message: 32 bytes.
        factor: the r it was blinded with.
        signed: x·B, combined from the signers' answers.
        public: the key, taken from the chain, never from a signer.

    Raises:
        SignatureError: the answer is wrong; `threshold.find_bad_partials` names who lied.
        LocalProtocolError: the message has another size, or r is 0.
    """
    if factor.is_zero():
        raise LocalProtocolError("a blinding factor is never 0")
    signature = signed * factor.inverse()
    verify(public, message, signature)
    return signature
