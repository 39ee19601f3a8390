"""What members say: signed for one round, in one order, by one author."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.keygen_bundles import (
    MAX_PAYLOAD_BYTES,
    Bundle,
    KeyRound,
    RoundId,
    RoundRecord,
)
from qnet.crypto.keys import ReceiptKey
from qnet.errors import CryptoError, DecodeError, LocalProtocolError

KEYS = [ReceiptKey(bytes([number]) * 32) for number in range(1, 5)]
ROSTER = [key.address for key in KEYS]
DOMAIN = b"\x07" * 32
ID = RoundId(5, 1, KeyRound.COMPLAINING)

ids = st.builds(
    RoundId,
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**30 - 1),
    st.sampled_from(KeyRound),
)


def say(author: int, payload: bytes, id_: RoundId = ID) -> Bundle:
    return Bundle.sign(KEYS[author - 1], domain=DOMAIN, id_=id_, author=author, payload=payload)


@given(ids)
def test_rounds_are_counted_in_one_number(id_: RoundId):
    assert RoundId.of(id_.epoch, id_.number) == id_


@given(ids, st.integers(1, 4), st.binary(max_size=300))
def test_a_bundle_comes_back_as_it_was(id_: RoundId, author: int, payload: bytes):
    bundle = say(author, payload, id_)
    again = Bundle.decode(bundle.encode())
    assert again == bundle
    again.verify(domain=DOMAIN, address=ROSTER[author - 1])


@given(st.binary(max_size=400))
def test_rubbish_is_no_bundle_and_no_record(data: bytes):
    for decode in (Bundle.decode, lambda wire: RoundRecord.decode(ID, wire)):
        try:
            decode(data)
        except DecodeError:
            continue


@given(st.binary(min_size=1, max_size=60), st.data())
def test_no_byte_of_a_bundle_can_be_changed(payload: bytes, data: st.DataObject):
    wire = bytearray(say(2, payload).encode())
    place = data.draw(st.integers(0, len(wire) - 1))
    wire[place] ^= data.draw(st.integers(1, 255))
    try:
        bundle = Bundle.decode(bytes(wire))
    except DecodeError:
        return
    with pytest.raises(CryptoError):
        RoundRecord(bundle.id, (bundle,)).verify(domain=DOMAIN, roster=ROSTER)


@pytest.mark.parametrize(
    "changed",
    [
        {"domain": bytes(32), "address": ROSTER[1]},
        {"domain": DOMAIN, "address": ROSTER[0]},
    ],
)
def test_another_contract_or_member_does_not_verify(changed):
    with pytest.raises(CryptoError):
        say(2, b"said").verify(**changed)


@pytest.mark.parametrize(
    "other",
    [
        RoundId(6, 1, KeyRound.COMPLAINING),
        RoundId(5, 0, KeyRound.COMPLAINING),
        RoundId(5, 1, KeyRound.ANSWERING),
    ],
)
def test_a_bundle_of_another_round_does_not_verify_in_this_one(other: RoundId):
    signature = say(2, b"said", other).signature
    with pytest.raises(CryptoError):
        Bundle(ID, 2, b"said", signature).verify(domain=DOMAIN, address=ROSTER[1])


def test_too_long_a_payload_is_neither_signed_nor_read():
    with pytest.raises(LocalProtocolError):
        say(1, bytes(MAX_PAYLOAD_BYTES + 1))
    with pytest.raises(DecodeError):
        Bundle.decode(bytes(MAX_PAYLOAD_BYTES + 200))


said = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from([b"a", b"b"])), unique=True, max_size=8
)


@given(said)
def test_a_record_comes_back_as_it_was_in_any_order(pairs):
    bundles = [say(*pair) for pair in pairs]
    record = RoundRecord.of(ID, bundles)
    assert record == RoundRecord.of(ID, reversed(bundles))
    assert RoundRecord.decode(ID, record.encode()) == record
    record.verify(domain=DOMAIN, roster=ROSTER)
    assert record.authors == {author for author, _ in pairs}
    assert not any(record.leaves_out(bundle) for bundle in bundles)


def test_records_out_of_order_doubled_or_mixed_are_refused():
    one, two = say(1, b"a"), say(2, b"b")
    bad = [
        RoundRecord(ID, (two, one)),
        RoundRecord(ID, (one, one)),
        RoundRecord(ID, (one, say(2, b"b", RoundId(5, 2, KeyRound.COMPLAINING)))),
        RoundRecord.of(ID, [say(1, bytes([number])) for number in range(3)]),
        RoundRecord.of(ID, [Bundle(ID, n, b"x", bytes(65)) for n in range(129)]),
    ]
    for record in bad:
        with pytest.raises(DecodeError):
            RoundRecord.decode(ID, record.encode())
    with pytest.raises(DecodeError):
        RoundRecord.decode(ID, RoundRecord.of(ID, [one]).encode() + b"\0")


@pytest.mark.parametrize("author", [0, 5, 255])
def test_who_is_no_member_has_no_place_in_a_record(author: int):
    record = RoundRecord(ID, (Bundle(ID, author, b"x", say(1, b"x").signature),))
    with pytest.raises(CryptoError):
        record.verify(domain=DOMAIN, roster=ROSTER)


def test_a_record_leaves_out_what_would_tell_something_new():
    record = RoundRecord.of(ID, [say(1, b"a"), say(2, b"a"), say(2, b"b")])
    assert record.leaves_out(say(3, b"a"))
    assert record.leaves_out(say(1, b"b"))
    assert not record.leaves_out(say(1, b"a"))
    assert not record.leaves_out(say(2, b"c"))


def test_bundles_of_one_payload_have_names_of_their_own():
    bundles = [say(author, b"no complaint") for author in range(1, 5)]
    bundles.append(say(1, b"no complaint", RoundId(5, 2, KeyRound.COMPLAINING)))
    bundles.append(say(1, b"no complaint", RoundId(5, 1, KeyRound.ANSWERING)))
    assert len({bundle.name for bundle in bundles}) == len(bundles)


def test_the_digest_binds_contract_round_and_bundles():
    record = RoundRecord.of(ID, [say(1, b"a")])
    others = [
        RoundRecord.of(ID, [say(1, b"b")]).digest(DOMAIN),
        RoundRecord(RoundId(5, 1, KeyRound.ANSWERING), record.bundles).digest(DOMAIN),
        record.digest(bytes(32)),
    ]
    assert record.digest(DOMAIN) not in others
    assert len(set(others)) == 3
