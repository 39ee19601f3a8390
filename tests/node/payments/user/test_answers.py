"""Whatever members answer is read within bounds, and believed as far as it is signed."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.payments.keys import EpochKeys, ShownKeys
from node.payments.user.blinding import blinded_all
from node.payments.user.derivation import Seed, Slot
from node.payments.user.lookups import InputLookup, PurchasesLookup
from node.payments.user.partials import Partials, decode_points
from node.payments.user.states import Blank
from qnet import cbor
from qnet.crypto.blind import sign_blinded
from qnet.crypto.keys import ReceiptKey
from qnet.crypto.scalars import SecretScalar
from qnet.crypto.threshold import Committee
from qnet.errors import DecodeError
from qnet.messages.swap import CreditInput, Output, Swap
from qnet.messages.voucher import Purchase
from tests.support.issuing import DOMAIN, PLACE, Keys

SEED = Seed(bytes(range(32)))
COMMITTEE = Committee.tolerating(1)
KEYS = Keys(COMMITTEE)
SHOWN = KEYS.shown()
HASH = PLACE.keys_hash(0, KEYS.encoded)
cbor_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**64 - 1) | st.binary(max_size=100),
    lambda inner: (
        st.lists(inner, max_size=9)
        | st.dictionaries(st.sampled_from(["keys", "shares", "threshold"]), inner)
    ),
    max_leaves=20,
)


def choose(*shown, epoch=0):
    return EpochKeys.choose(epoch, PLACE, HASH, shown, COMMITTEE.members)


@given(cbor_values)
def test_no_answer_breaks_the_reader_of_keys(value):
    try:
        ShownKeys.decode(cbor.dumps(value))
    except DecodeError:
        return


@given(st.binary(max_size=300))
def test_no_bytes_break_a_reader(data):
    lookups = (InputLookup(PLACE, bytes(32)), PurchasesLookup(PLACE, bytes(20), 0))
    for read in (ShownKeys.decode, lookups[0].read, lookups[1].read):
        try:
            assert not read(data)
        except DecodeError:
            continue
    with pytest.raises(DecodeError):
        decode_points(data, 7)


def test_keys_are_read_as_they_were_written():
    assert ShownKeys.decode(SHOWN.encode()) == SHOWN


def test_keys_are_believed_for_their_hash_alone():
    other = Keys(COMMITTEE).shown()
    assert choose(other, other, other) is None
    assert choose() is None
    found = choose(other, SHOWN)
    assert list(found.keys) == KEYS.public
    assert found.shares == ()
    assert choose(SHOWN, epoch=1) is None


def test_shares_are_believed_when_an_honest_member_must_be_among_those_who_show_them():
    liar = ShownKeys(SHOWN.encoded, Keys(COMMITTEE).shown().shares, SHOWN.threshold)
    assert choose(SHOWN, liar).shares == ()
    found = choose(SHOWN, liar, SHOWN)
    assert found.shares[0][1].encode() == SHOWN.shares[0][0]


def test_a_member_without_a_share_does_not_hide_those_of_others():
    rows = tuple((b"\xc0".ljust(96, b"\0"), *row[1:]) for row in SHOWN.shares)
    shown = ShownKeys(SHOWN.encoded, rows, SHOWN.threshold)
    assert set(choose(shown, shown).shares[0]) == {2, 3, 4}


def partials(keys, count=2):
    blanks = [Blank(Slot(0, 6, i)) for i in range(count)]
    return Partials(blinded_all(SEED, PLACE, blanks), keys, secrets.token_bytes)


def answer(collected, index, factor=1):
    share = SecretScalar(KEYS.polynomials[6].share(index))
    points = [sign_blinded(share, each.point, secrets.token_bytes) for each in collected.blinded]
    if factor == 2:
        points = [point + point for point in points]
    return b"".join(point.encode() for point in points)


def test_as_many_right_answers_as_needed_suffice():
    collected = partials(choose(SHOWN, SHOWN, SHOWN))
    for place in range(3):
        assert collected.signatures() is None
        collected.add(place, answer(collected, place + 1))
    assert len(collected.signatures()) == 2
    assert collected.liars == set()


@pytest.mark.parametrize("known_shares", [True, False])
def test_a_wrong_answer_does_not_hide_the_right_ones(known_shares):
    collected = partials(choose(*[SHOWN] * (4 if known_shares else 1)))
    collected.add(0, answer(collected, 1, factor=2))
    for place in (1, 2):
        collected.add(place, answer(collected, place + 1))
    assert collected.signatures() is None
    collected.add(3, answer(collected, 4))
    assert collected.signatures() is not None
    assert collected.liars == ({0} if known_shares else set())


def test_one_answer_counts_once_whoever_repeats_it():
    collected = partials(choose(*[SHOWN] * 4))
    for place in range(4):
        collected.add(place, answer(collected, 1))
    assert collected.signatures() is None


@pytest.mark.parametrize("body", [b"", b"\xc0".ljust(48, b"\0") * 2, b"\xff" * 96, bytes(95)])
def test_what_is_no_point_is_a_lie(body):
    collected = partials(choose(SHOWN))
    collected.add(2, body)
    assert collected.liars == {2}


def test_a_swap_is_believed_if_the_instruments_own_key_signed_it():
    key = ReceiptKey.generate()
    credit = CreditInput(0, 6, key.address, b"s" * 48)
    swap = Swap(0, (credit,), (Output(6, b"p" * 48),))
    lookup = InputLookup(PLACE, credit.message(PLACE))
    mine = swap.sign([key], DOMAIN)
    assert lookup.read(cbor.dumps([mine.encode(), []])).swap == mine
    strangers = swap.sign([ReceiptKey.generate()], DOMAIN)
    assert lookup.read(cbor.dumps([strangers.encode(), []])) is None
    other = InputLookup(PLACE, bytes(32))
    assert other.read(cbor.dumps([mine.encode(), []])) is None


def test_purchases_are_believed_if_the_channel_signed_them():
    key = ReceiptKey.generate()
    bought = Purchase.make(key, DOMAIN, [b"p" * 48], cumulative_wei=1, nonce=2, epoch=0)
    rows = cbor.dumps([[bought.encode(), []]])
    (found,) = PurchasesLookup(PLACE, key.address, 1).read(rows)
    assert found.purchase == bought
    assert PurchasesLookup(PLACE, key.address, 2).read(rows) is None
    assert PurchasesLookup(PLACE, bytes(20), 0).read(rows) is None
    stranger = ReceiptKey.generate()
    forged = Purchase(bought.voucher, bought.points, stranger.sign(bytes(32)))
    assert PurchasesLookup(PLACE, key.address, 0).read(cbor.dumps([[forged.encode(), []]])) is None
