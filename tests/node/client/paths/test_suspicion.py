import pytest

from node.circuit.messages import EndReason
from node.client.paths.suspicion import AVOID_S, EVIDENCE_S, Suspects, Suspicion, suspects

PATH = (1, 2, 3)


@pytest.mark.parametrize(
    ("reason", "hop", "accused", "doubted"),
    [
        (EndReason.PROTOCOL, 2, set(), {1, 2}),
        (EndReason.PROTOCOL, 1, set(), {0, 1, 2}),
        (EndReason.PROTOCOL, 0, set(), {0, 1}),
        (EndReason.PROTOCOL, None, set(), {0, 1, 2}),
        (EndReason.NEXT_DESTROYED, 2, {2}, {1}),
        (EndReason.BUILD_TIMEOUT, 1, {1}, {0}),
        (EndReason.SHUTDOWN, 1, {1}, set()),
        (EndReason.CIRCUIT_DESTROYED, 0, {0}, set()),
        (EndReason.LINK_LOST, 0, set(), set()),
        (EndReason.IDLE, None, set(), set()),
        (EndReason.CIRCUIT_DESTROYED, None, set(), set()),
        (None, None, set(), {0, 1, 2}),
    ],
)
def test_who_may_have_done_it(reason, hop, accused, doubted):
    assert suspects(reason, hop, 3) == Suspects(frozenset(accused), frozenset(doubted))


def test_the_accused_are_avoided_before_the_doubted_and_both_for_a_while():
    suspicion = Suspicion()
    assert not suspicion.broke(PATH, suspects(EndReason.NEXT_DESTROYED, 2, 3), 0.0)
    assert suspicion.exclusions(AVOID_S - 1) == ({2, 3}, {3})
    assert suspicion.exclusions(AVOID_S) == (frozenset(), frozenset())


def test_an_entry_is_never_excluded_but_given_up_when_accused_twice():
    suspicion = Suspicion()
    refused = suspects(EndReason.CIRCUIT_DESTROYED, 0, 3)
    assert not suspicion.broke(PATH, refused, 0.0)
    assert suspicion.exclusions(1.0) == (frozenset(), frozenset())
    assert suspicion.broke(PATH, refused, 1.0)
    assert not suspicion.broke(PATH, refused, 2.0), "what led to a verdict counts once"


def test_circuits_that_share_another_suspect_prove_nothing_about_the_entry():
    suspicion = Suspicion()
    spoilt = suspects(EndReason.PROTOCOL, None, 3)
    assert not suspicion.broke((1, 2, 3), spoilt, 0.0)
    assert not suspicion.broke((1, 2, 5), spoilt, 1.0)
    assert not suspicion.broke((1, 4, 3), spoilt, 2.0)
    assert not suspicion.broke((9, 4, 5), spoilt, 3.0), "another entry"
    assert suspicion.broke((1, 4, 5), spoilt, 4.0)


def test_an_entry_that_sees_broken_rules_behind_one_middle_hop_is_kept():
    suspicion = Suspicion()
    seen = suspects(EndReason.PROTOCOL, 0, 3)
    assert not suspicion.broke((1, 2, 3), seen, 0.0)
    assert not suspicion.broke((1, 2, 5), seen, 1.0)
    assert suspicion.broke((1, 4, 5), seen, 2.0)


def test_an_entry_that_is_silent_itself_is_given_up_at_once():
    found = suspects(EndReason.BUILD_TIMEOUT, 0, 3)
    assert found == Suspects(frozenset({0}), is_certain=True)
    assert Suspicion().broke(PATH, found, 0.0)


def test_evidence_fades():
    suspicion = Suspicion()
    spoilt = suspects(EndReason.PROTOCOL, None, 3)
    assert not suspicion.broke((1, 2, 3), spoilt, 0.0)
    assert not suspicion.broke((1, 4, 5), spoilt, EVIDENCE_S)
    assert suspicion.broke((1, 6, 7), spoilt, EVIDENCE_S + 1)
