"""What a program believes: the newest consensus, the committee of its period, contradictions."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.view import MAX_CONFLICTS, NetworkView
from qnet.errors import CryptoError, DecodeError, RejectedError
from qnet.messages.consensus import CommitteeTrust
from qnet.messages.errors import ConsensusConflictError, ConsensusTimeError
from tests.qnet.messages.test_succession import CHAIN_OF, KEYS, SETS, change, trust_of
from tests.support.signed_network import PARAMETERS, PERIOD, make_network

INTERVAL = PARAMETERS.consensus_interval_s
NET = make_network()
FIRST = NET.sign(NET.consensus)
OTHER = NET.sign(replace(NET.consensus, users=7), members=(1, 2, 3))
NEXT = NET.sign(replace(NET.consensus, valid_after=PERIOD + INTERVAL))


def view(now=PERIOD + INTERVAL, trust: CommitteeTrust = NET.trust) -> NetworkView:
    return NetworkView(trust, PARAMETERS, now=lambda: now, software="0.1.0")


def test_the_first_of_two_is_kept_and_the_proof_told_once():
    looked, told = view(), []
    looked.on_conflict(told.append)
    assert looked.take(FIRST)
    for _ in range(2):
        with pytest.raises(ConsensusConflictError):
            looked.offer(OTHER.encode())
    assert looked.held is FIRST
    [conflict] = told
    assert (conflict.kept, conflict.refused) == (FIRST, OTHER)
    assert list(looked.conflicts.values()) == [conflict.evidence]
    conflict.evidence.verify(NET.trust)


def test_the_period_before_is_compared_too():
    looked = view()
    looked.take(FIRST)
    looked.take(NEXT)
    with pytest.raises(ConsensusConflictError):
        looked.take(OTHER)
    assert looked.held is NEXT
    assert len(looked.conflicts) == 1


def test_conflicts_are_bounded():
    looked = view()
    looked.take(FIRST)
    for users in range(MAX_CONFLICTS + 3):
        with pytest.raises(ConsensusConflictError):
            looked.take(NET.sign(replace(NET.consensus, users=users)))
    assert len(looked.conflicts) == MAX_CONFLICTS


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 3]), min_size=1, max_size=8))
def test_whatever_the_order_the_newest_is_held_and_no_first_one_replaced(order):
    documents = [FIRST, OTHER, NEXT, NET.sign(replace(NEXT.consensus, users=7))]
    looked, first = view(), {}
    for place in order:
        offered = documents[place]
        known = first.get(offered.consensus.valid_after)
        try:
            looked.take(offered)
        except ConsensusConflictError:
            assert known is not None
            assert known.hash != offered.hash
        if looked.held is offered or known is None:
            first.setdefault(offered.consensus.valid_after, offered)
    assert looked.held is first[max(first)]


def test_who_gave_a_document_is_a_witness_of_the_time_even_if_it_cannot_be_used():
    looked = view(now=PERIOD - 5 * INTERVAL)
    with pytest.raises(ConsensusTimeError):
        looked.offer(FIRST.encode(), "node a")
    assert looked.witnesses.floor == PERIOD
    assert looked.witnesses.verdict(PERIOD - 5 * INTERVAL) is not None
    with pytest.raises(CryptoError):
        looked.offer(make_network().sign(NEXT.consensus).encode(), "node b")
    assert looked.witnesses.floor == PERIOD


def test_each_period_is_verified_by_the_set_of_its_time():
    trust = CommitteeTrust(NET.trust.chain_id, NET.trust.committee, trust_of(SETS[0]).signers, 3)
    late = change(SETS[0], SETS[1], PERIOD + INTERVAL)
    looked = view(trust=trust)
    old = replace(NET, members=tuple(KEYS[:4]))
    new = replace(NET, members=tuple(KEYS[:5]))
    assert looked.take(looked.read(old.sign(NET.consensus).encode()))
    by_new = new.sign(NEXT.consensus, members=(1, 2, 3, 4)).encode()
    with pytest.raises(CryptoError):
        looked.read(by_new)
    assert looked.follow([late])
    assert not looked.follow([late])
    assert looked.take(looked.read(by_new))
    assert looked.cache.changes == (late,)
    with pytest.raises(CryptoError):
        looked.read(old.sign(NEXT.consensus).encode())


def test_only_a_chain_that_leads_to_the_own_committee_is_served():
    looked = view(trust=trust_of(SETS[3]))
    looked.serve_changes(tuple(CHAIN_OF))
    assert looked.cache.changes == tuple(CHAIN_OF)
    for bad in (CHAIN_OF[:2], [CHAIN_OF[0], CHAIN_OF[2]]):
        with pytest.raises(DecodeError):
            looked.serve_changes(tuple(bad))
    assert looked.cache.changes == tuple(CHAIN_OF)


def test_newer_software_is_demanded_with_its_version():
    looked = view()
    with pytest.raises(RejectedError, match=r"0\.1\.0"):
        looked.take(NET.sign(replace(NET.consensus, min_version="9.0.0")))
    assert looked.held is None
