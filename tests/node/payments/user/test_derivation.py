"""A wallet's instruments come back from its seed, and from nothing else."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.payments.user.derivation import Seed, Slot
from qnet.errors import LocalProtocolError
from qnet.messages.instruments import TOKEN_CLASS, Place, token_id_of

SECRET = bytes(range(32))
PLACE = Place(31337, b"\x0c" * 20)
slots = st.builds(Slot, st.integers(0, 2**32 - 1), st.integers(0, 7), st.integers(0, 2**32 - 1))


@given(slots)
def test_the_same_seed_gives_the_same_things(slot):
    first, second = Seed(SECRET), Seed(SECRET)
    assert first.key(slot).address == second.key(slot).address
    assert first.chain(slot).top == second.chain(slot).top
    assert first.factor(slot, bytes(32)) == second.factor(slot, bytes(32))
    assert first.factor(slot, bytes(32)) != first.factor(slot, b"\1" * 32)


def test_every_slot_has_its_own():
    seed, other = Seed(SECRET), Seed(bytes(32))
    all_slots = [Slot(*parts) for parts in product((0, 1), (0, 6, TOKEN_CLASS), (0, 1))]
    keys = {wallet.key(slot).address for wallet in (seed, other) for slot in all_slots}
    tops = {wallet.chain(slot).top for wallet in (seed, other) for slot in all_slots}
    factors = {
        int(wallet.factor(slot, bytes(32))) for wallet in (seed, other) for slot in all_slots
    }
    assert len(keys) == len(tops) == len(factors) == 24


def test_messages_are_those_of_the_instruments():
    seed, credit, token = Seed(SECRET), Slot(4, 6, 0), Slot(4, TOKEN_CLASS, 0)
    assert seed.message(credit, PLACE) == PLACE.credit(4, 6, seed.key(credit).address)
    token_id = token_id_of(seed.chain(token).top, seed.key(token).address)
    assert seed.message(token, PLACE, relay=9) == PLACE.token(4, 9, token_id)
    assert seed.message(token, PLACE, relay=8) != seed.message(token, PLACE, relay=9)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seed_has_32_bytes(size):
    with pytest.raises(LocalProtocolError):
        Seed(bytes(size))


def test_a_seed_says_nothing_of_itself_and_can_be_erased():
    seed = Seed(SECRET)
    assert repr(seed) == "Seed()"
    before = seed.key(Slot(0, 0, 0)).address
    seed.erase()
    assert seed.key(Slot(0, 0, 0)).address != before
