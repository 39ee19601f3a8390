"""When receipts are taken and what they are worth."""

from dataclasses import replace

import pytest

from ledger.domain.receipts import (
    ReceiptStatus,
    check_time,
    is_signed,
    match_receipts,
    pair_totals,
    receipts_close,
)
from qnet.crypto.keys import keccak256
from qnet.epochs import EpochClock
from qnet.messages.receipt import Side
from tests.ledger.domain.material import DOMAIN, another_signature, both_sides, node_key, signed

CLOCK = EpochClock(1000, 5, 6)
KEYS = {index: node_key(index).address for index in range(1, 4)}


def links(receipts):
    return match_receipts(receipts, epoch=3, slots=6, keys=KEYS, domain=DOMAIN)


def match(receipts):
    return pair_totals(links(receipts))


@pytest.mark.parametrize(
    ("now", "status"),
    [
        (1094.9, ReceiptStatus.EARLY),
        (1095.0, None),
        (1099.0, None),
        (1099.1, ReceiptStatus.LATE),
    ],
)
def test_receipts_are_taken_between_slot_end_and_grace(now, status):
    body = signed(3, 0, 1, 2, Side.SENDER, 5).receipt
    assert check_time(body, CLOCK, 4, now) is status


def test_a_slot_that_the_epoch_lacks_never_ends():
    body = signed(3, 6, 1, 2, Side.SENDER, 5).receipt
    assert check_time(body, CLOCK, 4, 10**9) is ReceiptStatus.EARLY


def test_an_epoch_closes_after_the_grace_of_its_last_slot():
    assert receipts_close(3, CLOCK, 4) == 1124


def test_signatures_must_be_of_the_signer():
    receipt = signed(3, 0, 1, 2, Side.RECEIVER, 5)
    assert is_signed(receipt, KEYS, DOMAIN)
    assert not is_signed(receipt, {**KEYS, 2: node_key(9).address}, DOMAIN)
    assert not is_signed(receipt, {1: KEYS[1]}, DOMAIN)
    assert not is_signed(replace(receipt, signature=bytes(65)), KEYS, DOMAIN)


def test_both_directions_and_all_slots_add_up():
    receipts = [
        *both_sides(3, 0, 1, 2, 100),
        *both_sides(3, 0, 2, 1, 10),
        *both_sides(3, 5, 1, 2, 7),
        *both_sides(3, 5, 3, 2, 9),
        *both_sides(3, 6, 1, 2, 5000),
        *both_sides(4, 0, 1, 2, 5000),
    ]
    assert match(receipts) == {(1, 2): 100 + 10 + 7, (2, 3): 9}


@pytest.mark.parametrize(
    ("sent", "received", "credited"),
    [(100, 104, 100), (104, 100, 100), (100, 108, 0), (64, 62, 62), (64, 60, 0)],
)
def test_the_lower_side_counts_if_at_most_a_bucket_apart(sent, received, credited):
    told = {Side.SENDER: sent, Side.RECEIVER: received}
    receipts = [signed(3, 0, 1, 2, side, cells) for side, cells in told.items()]
    assert match(receipts) == ({(1, 2): credited} if credited else {})


def test_one_side_alone_is_worth_nothing():
    for side in Side:
        assert match([signed(3, 0, 1, 2, side, 100)]) == {}


def test_links_are_ascending_and_name_their_receipts():
    sides = both_sides(3, 5, 2, 1, 100), both_sides(3, 0, 2, 3, 50), both_sides(3, 5, 1, 2, 7)
    receipts = [item for pair in sides for item in pair]
    found = links(receipts)
    assert [(leaf.slot, leaf.node_from, leaf.node_to) for leaf in found] == [
        (0, 2, 3),
        (5, 1, 2),
        (5, 2, 1),
    ]
    assert [leaf.matched for leaf in found] == [50, 7, 100]
    sender, receiver = sides[0]
    assert found[2].sent_proof == keccak256(sender.receipt.digest(DOMAIN) + sender.signature)
    assert found[2].received_proof == keccak256(
        receiver.receipt.digest(DOMAIN) + receiver.signature
    )
    assert found == links(list(reversed(receipts)) + receipts)


def test_of_two_signatures_over_one_body_the_lowest_counts():
    sender, receiver = both_sides(3, 0, 1, 2, 100)
    message = sender.receipt.digest(DOMAIN)
    # r, s, v with another nonce: anyone who holds the key can make it
    other = replace(sender, signature=another_signature(node_key(1), message))
    assert is_signed(other, KEYS, DOMAIN)
    assert other != sender
    first = min(sender.signature, other.signature)
    for receipts in ([sender, other, receiver], [receiver, other, sender]):
        (leaf,) = links(receipts)
        assert leaf.sent_proof == keccak256(message + first)


def test_two_bodies_of_one_tuple_spoil_it_for_good():
    doubled = signed(3, 0, 1, 2, Side.SENDER, 104)
    assert match([*both_sides(3, 0, 1, 2, 100), doubled, doubled]) == {}
