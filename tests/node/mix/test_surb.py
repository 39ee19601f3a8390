import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.mix.envelope import FRAME_BYTES
from node.mix.packet import Delivery
from node.mix.route import build_packet
from node.mix.surb import SURB_BYTES, ReplyBook, Returned, decode_surb, make_surb
from node.mix.unwrap import Cause, Deliver, Dropped, Forward
from qnet.errors import DecodeError
from tests.node.mix.mixes import PHASE, Mixes

FRAME = secrets.token_bytes(FRAME_BYTES)


def made(mixes, phase=PHASE, book=None):
    route = mixes.route(phase)
    surb, secret = make_surb(route, secrets.token_bytes)
    book = ReplyBook() if book is None else book
    assert book.remember(route.delivery_id, secret, "why")
    return surb, book


def test_a_reply_finds_its_way():
    mixes = Mixes()
    surb, book = made(mixes)
    handed = decode_surb(surb.encode())
    assert (handed, handed.first_index) == (surb, 1)
    delivery = mixes.deliver(handed.use(FRAME))
    assert book.take(delivery) == Returned("why", FRAME)


def test_it_works_once():
    mixes = Mixes()
    surb, book = made(mixes)
    delivery = mixes.deliver(surb.use(FRAME))
    assert mixes.mixes[0].open(surb.use(bytes(FRAME_BYTES))) == Dropped(Cause.REPLAYED)
    assert book.take(delivery) is not None
    assert book.take(delivery) is None
    assert (book.unknown, len(book)) == (1, 0)


def test_a_changed_reply_is_known_and_its_block_is_gone():
    mixes = Mixes()
    surb, book = made(mixes)
    packet = surb.use(FRAME)
    changed = packet[:-1] + bytes([packet[-1] ^ 1])
    assert book.take(mixes.deliver(changed)) == Returned("why", None)
    assert len(book) == 0


def test_nobody_on_the_way_reads_it():
    mixes = Mixes()
    surb, _ = made(mixes)
    packet = surb.use(FRAME)
    for result in mixes.carry(packet):
        data = result.packet if isinstance(result, Forward) else result.delivery.payload
        assert FRAME[:16] not in packet + data


@pytest.mark.parametrize(
    ("now", "usable"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_it_lives_as_long_as_its_phase_is_accepted(now, usable):
    mixes = Mixes()
    surb, book = made(mixes)
    for mix in mixes.mixes:
        mix.advance(PHASE + now) if now > 0 else None
        mix.keyring.current = PHASE + now
    assert surb.is_usable(PHASE + now) == usable
    assert isinstance(mixes.carry(surb.use(FRAME))[-1], Deliver if usable else Dropped)
    assert book.advance(PHASE + now) == (["why"] if now == 2 else [])


def test_phases_wrap_around():
    mixes = Mixes(phase=0)
    surb, book = made(mixes, phase=0)
    assert surb.is_usable((1 << 24) - 1)
    assert book.advance((1 << 24) - 1) == []
    assert book.advance(2) == ["why"]


def test_the_book_is_bounded():
    mixes, book = Mixes(), ReplyBook(capacity=2)
    made(mixes, book=book)
    made(mixes, book=book)
    route = mixes.route()
    assert not book.remember(route.delivery_id, make_surb(route, secrets.token_bytes)[1], "third")
    assert book.refused == 1


def test_strange_deliveries_are_unknown():
    book = ReplyBook()
    assert book.take(Delivery(PHASE, secrets.token_bytes(16), secrets.token_bytes(2064))) is None


@given(st.binary(max_size=SURB_BYTES + 2))
def test_reading_never_crashes(data):
    try:
        surb = decode_surb(data)
    except DecodeError:
        return
    assert surb.encode() == data


def test_other_versions_and_no_first_mix_are_refused():
    data = made(Mixes())[0].encode()
    for wrong in (b"\2" + data[1:], data[:4] + bytes(4) + data[8:], data + b"\0", data[:-1]):
        with pytest.raises(DecodeError):
            decode_surb(wrong)


def test_secrets_do_not_print():
    surb, book = made(Mixes())
    assert surb.reply_key.hex() not in repr(surb)
    (secret, _) = next(iter(book._waiting.values()))
    assert repr(secret.reply_key) not in repr(secret)
    assert repr(secret.payload_keys[0]) not in repr(secret)


def test_all_kinds_look_alike_to_every_mix():
    """Messages, replies and drops: one type of result, one size, all fields of one form."""
    mixes = Mixes()
    surb, _ = made(mixes)
    packets = [
        build_packet(mixes.route(), secrets.token_bytes(2064), secrets.token_bytes),
        surb.use(FRAME),
    ]
    message, reply = (mixes.carry(packet) for packet in packets)
    assert {len(packet) for packet in packets} == {2308}
    for left, right in zip(message, reply, strict=True):
        assert type(left) is type(right)
        assert left[:2] == right[:2]
        if isinstance(left, Forward):
            assert len(left.packet) == len(right.packet)
            assert left.packet[:4] == right.packet[:4]
        else:
            assert len(left.delivery.delivery_id) == len(right.delivery.delivery_id)
            assert left.delivery.phase == right.delivery.phase
