from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet import cbor
from qnet.codec import Writer
from qnet.crypto.kdf import node_id_of
from qnet.errors import CryptoError, DecodeError
from qnet.messages.descriptor import (
    MAX_CLIENTS,
    MAX_DESCRIPTOR_BYTES,
    MAX_PHASES,
    MIN_CLIENTS,
    Role,
    SignedDescriptor,
    TicketKey,
    decode_descriptor,
)
from tests.support.signed_network import PARAMETERS, PERIOD, NodeKeys

KEYS = NodeKeys.make(7, Role.EXIT)
SIGNED = KEYS.descriptor()
WIRE = SIGNED.encode()


def resigned(**changes: object) -> bytes:
    """A descriptor whose signatures hold but whose fields were changed."""
    return replace(SIGNED.descriptor, **changes).sign(KEYS.online).encode()


def resigned_map(change: dict[str, object]) -> bytes:
    """A properly signed payload with raw values in its map."""
    value = cbor.loads(SIGNED.payload, max_bytes=MAX_DESCRIPTOR_BYTES)
    assert isinstance(value, dict)
    payload = cbor.dumps({**value, **change})
    signature = KEYS.online.sign(b"qnet descriptor 1\0" + payload)
    return Writer().u8(1).u32(len(payload)).take(payload).take(signature).bytes()


def test_round_trip() -> None:
    decoded = decode_descriptor(WIRE)
    assert decoded == SIGNED
    assert decoded.encode() == WIRE
    assert decoded.descriptor.node_id == node_id_of(KEYS.identity.public)
    assert decoded.digest == SIGNED.digest
    assert len(WIRE) < 2048


def test_phase_keys_cover_the_life_of_the_consensus_and_wrap() -> None:
    descriptor = SIGNED.descriptor
    first = PERIOD // PARAMETERS.key_phase_s - 1
    per_interval = PARAMETERS.consensus_interval_s // PARAMETERS.key_phase_s
    assert descriptor.first_phase == first & 0xFFFFFF
    assert len(descriptor.phase_keys) == 2 * per_interval + 1
    assert descriptor.phase_key(first & 0xFFFFFF) == descriptor.phase_keys[0]
    assert descriptor.phase_key((first - 1) & 0xFFFFFF) is None
    assert descriptor.phase_key((first + len(descriptor.phase_keys)) & 0xFFFFFF) is None
    wrapped = replace(descriptor, first_phase=0xFFFFFF)
    assert wrapped.phase_key(0xFFFFFF) == descriptor.phase_keys[0]
    assert wrapped.phase_key(0) == descriptor.phase_keys[1]


@pytest.mark.parametrize(
    "change",
    [
        {"host": ""},
        {"host": "a" * 256},
        {"host": "caf\u00e9"},
        {"host": "a\nb"},
        {"port": 0},
        {"port": 65_536},
        {"index": 0},
        {"index": 1 << 32},
        {"chain_id": 0},
        {"registry": b"\x01" * 19},
        {"owner": b"\x01" * 21},
        {"spki_hash": b""},
        {"link_key": b"\x01" * 31},
        {"tickets": ()},
        {"tickets": (TicketKey(b"ticketid", b"\x01" * 32, 1),) * 5},
        {"tickets": (TicketKey(b"short", b"\x01" * 32, 1),)},
        {"first_phase": 1 << 24},
        {"phase_keys": ()},
        {"phase_keys": (b"\x01" * 32,) * (MAX_PHASES + 1)},
        {"phase_keys": (b"\x01" * 31,)},
        {"clients": MIN_CLIENTS - 1},
        {"clients": MAX_CLIENTS + 1},
        {"ciphers": ()},
        {"ciphers": (2, 1)},
        {"ciphers": (1, 1)},
        {"ciphers": (256,)},
        {"family": "f" * 65},
        {"software": "v" * 33},
        {"policy": "p" * 4097},
        {"bandwidth_kbps": 1 << 32},
    ],
    ids=str,
)
def test_fields_out_of_bounds_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        decode_descriptor(resigned(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"role": 0},
        {"role": 5},
        {"role": True},
        {"port": "443"},
        {"host": b"raw"},
        {"tickets": {"id": 1}},
        {"tickets": [3]},
        {"tickets": [{"id": b"ticketid"}]},
        {"phases": b"\x01" * 32},
        {"ciphers": [True]},
        {"extra": 1},
    ],
    ids=str,
)
def test_other_shapes_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        decode_descriptor(resigned_map(change))


def test_policy_may_have_lines() -> None:
    assert decode_descriptor(resigned(policy="reject *:25\naccept *:*")).descriptor.policy


def test_another_online_key_is_refused() -> None:
    stranger = NodeKeys.make(7, Role.EXIT)
    with pytest.raises(CryptoError):
        decode_descriptor(SIGNED.descriptor.sign(stranger.online).encode())
    uncertified = replace(SIGNED.descriptor, online=stranger.online.public)
    with pytest.raises(CryptoError):
        decode_descriptor(uncertified.sign(stranger.online).encode())


def test_certificate_binds_chain_and_registry() -> None:
    with pytest.raises(CryptoError):
        decode_descriptor(resigned(chain_id=1))
    with pytest.raises(CryptoError):
        decode_descriptor(resigned(registry=b"\x02" * 20))
    with pytest.raises(CryptoError):
        decode_descriptor(resigned(online_until=SIGNED.descriptor.online_until + 1))


@pytest.mark.parametrize(
    "data",
    [b"", b"\x02" + WIRE[1:], WIRE[:-1], WIRE + b"\0", b"\x01" + b"\0" * MAX_DESCRIPTOR_BYTES],
    ids=["empty", "version", "short", "long", "oversized"],
)
def test_malformed_wire_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_descriptor(data)


@given(st.binary(max_size=300))
def test_never_crashes_on_noise(data: bytes) -> None:
    with pytest.raises((DecodeError, CryptoError)):
        SignedDescriptor.decode(data)


@settings(max_examples=150)
@given(st.integers(0, len(WIRE) - 1), st.integers(1, 255))
def test_every_flipped_byte_is_refused(place: int, flip: int) -> None:
    mutated = bytearray(WIRE)
    mutated[place] ^= flip
    with pytest.raises((DecodeError, CryptoError)):
        SignedDescriptor.decode(bytes(mutated))


@settings(max_examples=50)
@given(
    st.integers(1, 65_535),
    st.sampled_from(Role),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=255),
    st.integers(0, 0xFFFFFF),
    st.integers(1, MAX_PHASES),
)
def test_round_trips(port: int, role: Role, host: str, first: int, count: int) -> None:
    changed = replace(
        SIGNED.descriptor,
        port=port,
        role=role,
        host=host,
        first_phase=first,
        phase_keys=tuple(bytes([i]) * 32 for i in range(count)),
    )
    assert decode_descriptor(changed.sign(KEYS.online).encode()).descriptor == changed
