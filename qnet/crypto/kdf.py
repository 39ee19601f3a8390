"""Hashing and key derivation. Every label of the protocol stands here, once.

Source: BLAKE3 specification, section 2.3 (derive_key mode and keyed mode).
"""

from enum import StrEnum
from typing import Final

from blake3 import blake3 as _blake3

KEY_BYTES: Final = 32


class Label(StrEnum):
    """Context strings of BLAKE3's derive_key mode; no two uses share one."""

    HTX_TICKET = "qnet htx ticket 1"
    HTX_ROOT = "qnet htx root 1"
    HTX_DATA_INITIATOR = "qnet htx data initiator 1"
    HTX_DATA_RESPONDER = "qnet htx data responder 1"
    HTX_REKEY = "qnet htx rekey 1"
    CIRCUIT_SETUP = "qnet circuit setup 1"
    CIRCUIT_KEYS = "qnet circuit keys 1"
    CIRCUIT_REKEY = "qnet circuit rekey 1"
    CIRCUIT_RATCHET = "qnet circuit ratchet 1"
    MIX_PACKET = "qnet mix packet 1"
    MIX_SEAL = "qnet mix seal 1"
    MIX_MAILBOX = "qnet mix mailbox 1"
    MIX_ADDRESS = "qnet mix address 1"
    MIX_CLAIM = "qnet mix claim 1"
    BEACON_DRAW = "qnet beacon draw 1"
    RECEIPT_SAMPLE = "qnet receipt sample 1"
    NODE_KEYS = "qnet node keys 1"
    PAYMENT_BLINDING = "qnet payment blinding 1"
    PAYMENT_KEY = "qnet payment key 1"
    PAYMENT_CHAIN = "qnet payment chain 1"
    KEYGEN_SHARE = "qnet keygen share 1"
    KEYGEN_AT_REST = "qnet keygen at rest 1"
    PAYMENT_CHANNEL = "qnet payment channel 1"
    PAYMENT_SEED_NAME = "qnet payment seed name 1"


def derive_key(label: Label, material: bytes, length: int = KEY_BYTES) -> bytes:
    """Derive `length` bytes from secret `material` for the use named by `label`."""
    return _blake3(material, derive_key_context=label.value).digest(length=length)


def keyed(key: bytes, data: bytes | bytearray | memoryview, length: int = KEY_BYTES) -> bytes:
    """BLAKE3 in keyed mode with a 32-byte key."""
    return _blake3(data, key=key).digest(length=length)


def blake3(data: bytes | bytearray | memoryview) -> bytes:
    """Unkeyed BLAKE3, 32 bytes."""
    return _blake3(data).digest()


def node_id_of(identity_public: bytes) -> bytes:
    """Node id: BLAKE3 of the 32-byte Ed25519 identity key."""
    return blake3(identity_public)
