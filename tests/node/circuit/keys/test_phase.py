import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from node.circuit.keys.phase import PHASE_MODULUS, PHASES_AHEAD, PhaseKeyring
from qnet.errors import CryptoError


@pytest.fixture
def peer():
    return X25519PrivateKey.generate().public_key().public_bytes_raw()


def test_previous_current_and_next_phase_are_accepted(peer):
    ring = PhaseKeyring(100)
    ring.advance(101)
    for phase in (100, 101, 102):
        assert len(ring.exchange(phase, peer)) == 32
    for phase in (99, 103, 110):
        with pytest.raises(CryptoError):
            ring.exchange(phase, peer)


def test_keys_are_erased_one_phase_after_their_end(peer):
    ring = PhaseKeyring(100)
    old = ring.public(100)
    ring.admit(100, b"tag")
    ring.advance(101)
    assert ring.public(100) == old
    ring.advance(102)
    for ask in (ring.public, lambda phase: ring.exchange(phase, peer)):
        with pytest.raises(CryptoError):
            ask(100)
    with pytest.raises(CryptoError):
        ring.admit(100, b"other")
    assert set(ring._phases) == set(range(101, 102 + PHASES_AHEAD + 1))
    ring.advance(100)
    assert ring.public(100) != old, "a key that was erased never comes back"


def test_public_keys_for_the_descriptor():
    ring = PhaseKeyring(5, ahead=3)
    keys = ring.publics(5, 4)
    assert len(set(keys)) == 4
    assert keys == tuple(ring.public(phase) for phase in range(5, 9))
    with pytest.raises(CryptoError):
        ring.publics(5, 5)


def test_phases_wrap_at_24_bits(peer):
    ring = PhaseKeyring(PHASE_MODULUS - 1)
    assert ring.exchange(0, peer)
    first = ring.public(0)
    ring.advance(PHASE_MODULUS)
    assert ring.current == 0
    assert ring.public(0) == first
    assert ring.exchange(PHASE_MODULUS - 1, peer)


def test_a_low_order_share_is_refused():
    with pytest.raises(CryptoError):
        PhaseKeyring(1).exchange(1, bytes(32))
    with pytest.raises(CryptoError):
        PhaseKeyring(1).exchange(1, bytes(31))


def test_a_setup_is_admitted_once_and_a_full_set_refuses():
    ring = PhaseKeyring(1, replay_capacity=2)
    ring.admit(1, b"a")
    with pytest.raises(CryptoError):
        ring.admit(1, b"a")
    assert ring.refused_full == 0
    ring.admit(1, b"b")
    with pytest.raises(CryptoError):
        ring.admit(1, b"c")
    assert ring.refused_full == 1
    ring.admit(2, b"a")
