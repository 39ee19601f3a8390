"""Ids and claims of a client at its node."""

import secrets

from node.client.mix.tenancy import (
    ANSWER_S,
    CLAIM_AGAIN_S,
    MAX_OPEN,
    Tenancy,
    ids_to_keep,
)
from node.mix.account import Mailbox
from node.mix.mailbox_wire import MAX_IDS, MailboxGrant
from node.mix.mailboxes import Mailboxes
from node.mix.rates import MESSAGES, STREAMS
from qnet.crypto.keys import DhKey

NODE = 7
PHASE = 100
NODE_KEY = DhKey(secrets.token_bytes(32))


def mailbox():
    return Mailbox(DhKey(secrets.token_bytes(32)), NODE)


def grant(count, accepted=1):
    return MailboxGrant(PHASE, [secrets.token_bytes(16) for _ in range(count)], accepted)


def ask(tenancy, boxes, now):
    ids = tenancy.wants(boxes, now)
    return None if ids < 0 else tenancy.request(ids, boxes, NODE_KEY.public, PHASE, now)


def test_a_node_serves_what_is_asked():
    tenancy, boxes = Tenancy(128), [mailbox(), mailbox()]
    node = Mailboxes(NODE, lambda _phase, key: NODE_KEY.exchange(key), secrets.token_bytes, PHASE)
    request = ask(tenancy, boxes, 0.0)
    answer = node.request(1, request, 0.0)
    assert answer is not None
    tenancy.granted(answer)
    assert (len(tenancy), tenancy.keeps(boxes), node.addresses) == (128, True, 2)
    assert ask(tenancy, boxes, 1.0) is None


def test_ids_run_out_and_are_asked_for_in_time():
    tenancy, boxes = Tenancy(256), [mailbox()]
    assert tenancy.new_id() is None
    assert [ask(tenancy, boxes, 0.0).ids, ask(tenancy, boxes, 0.0).ids] == [128, 128]
    assert ask(tenancy, boxes, 0.0) is None
    for _ in range(2):
        tenancy.granted(grant(MAX_IDS))
    names = {tenancy.new_id() for _ in range(63)}
    assert len(names) == 63
    assert ask(tenancy, boxes, 1.0) is None
    tenancy.new_id()
    assert ask(tenancy, boxes, 1.0).ids == 64


def test_requests_under_way_are_bounded_and_lost_ones_repeated():
    tenancy, boxes = Tenancy(1 << 14), [mailbox()]
    asked = [ask(tenancy, boxes, 0.0) for _ in range(MAX_OPEN + 2)]
    assert [each is None for each in asked] == [False] * MAX_OPEN + [True] * 2
    assert ask(tenancy, boxes, ANSWER_S).ids == MAX_IDS


def test_claims_are_repeated_and_follow_the_addresses():
    tenancy, boxes = Tenancy(0), [mailbox()]
    assert ask(tenancy, boxes, 0.0).ids == 0
    assert ask(tenancy, boxes, 1.0) is None
    more = [*boxes, mailbox()]
    assert len(ask(tenancy, more, 2.0).claims) == 2
    assert ask(tenancy, more, 2.0 + CLAIM_AGAIN_S - 1) is None
    assert ask(tenancy, more, 2.0 + CLAIM_AGAIN_S) is not None


def test_a_new_link_begins_anew():
    tenancy, boxes = Tenancy(128), [mailbox()]
    ask(tenancy, boxes, 0.0)
    tenancy.granted(grant(128))
    tenancy.begin()
    assert (len(tenancy), tenancy.kept) == (0, frozenset())
    assert ask(tenancy, boxes, 1.0).ids == 128


def test_a_node_that_gives_more_than_was_asked_for_fills_no_memory():
    tenancy = Tenancy(128)
    for _ in range(100):
        tenancy.granted(grant(MAX_IDS))
    assert len(tenancy) == 128 + MAX_OPEN * MAX_IDS


def test_how_many_ids_are_kept():
    assert ids_to_keep(MESSAGES.total_hz) == 128
    assert ids_to_keep(STREAMS.total_hz) == 2560


def test_addresses_are_kept_once_the_node_says_so():
    tenancy, boxes = Tenancy(0), [mailbox(), mailbox()]
    ask(tenancy, boxes, 0.0)
    assert not tenancy.keeps(boxes)
    tenancy.granted(grant(0, accepted=0b01))
    assert tenancy.keeps(boxes[:1])
    assert not tenancy.keeps(boxes)
    more = [*boxes, mailbox()]
    ask(tenancy, more, 1.0)
    ask(tenancy, boxes, 2.0)
    tenancy.granted(grant(0, accepted=0b111))
    assert tenancy.keeps(more)
    tenancy.granted(grant(0, accepted=0b11))
    assert not tenancy.keeps(more)
    tenancy.begin()
    assert not tenancy.keeps(boxes[:1])
    tenancy.granted(grant(0, accepted=0b1))  # nothing was asked for over this link
    assert not tenancy.kept
