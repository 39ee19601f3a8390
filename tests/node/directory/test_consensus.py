from dataclasses import replace

import pytest

from node.directory.consensus import (
    accept_consensus,
    check_version,
    next_refresh_at,
    parse_version,
)
from qnet.errors import DecodeError, RejectedError
from qnet.messages.errors import ConsensusConflictError, ConsensusTimeError
from tests.support.signed_network import PARAMETERS, PERIOD, make_network, seeded

NET = make_network()
INTERVAL = PARAMETERS.consensus_interval_s
FIRST = NET.sign(NET.consensus)
NEXT = NET.sign(replace(NET.consensus, valid_after=PERIOD + INTERVAL))
SOFTWARE = "0.1.0"


def test_first_and_newer_are_taken_older_are_not() -> None:
    now = PERIOD + INTERVAL
    assert accept_consensus(None, FIRST, now=now, software=SOFTWARE) is FIRST
    assert accept_consensus(FIRST, NEXT, now=now, software=SOFTWARE) is NEXT
    assert accept_consensus(NEXT, FIRST, now=now, software=SOFTWARE) is NEXT
    assert accept_consensus(FIRST, FIRST, now=now, software=SOFTWARE) is FIRST


def test_the_same_document_by_other_signers_is_no_conflict() -> None:
    other = NET.sign(NET.consensus, members=(1, 2, 3))
    assert accept_consensus(FIRST, other, now=PERIOD, software=SOFTWARE) is FIRST


def test_two_documents_of_one_period_are_evidence() -> None:
    other = NET.sign(replace(NET.consensus, users=7))
    with pytest.raises(ConsensusConflictError) as caught:
        accept_consensus(FIRST, other, now=PERIOD, software=SOFTWARE)
    assert (caught.value.known, caught.value.other) == (FIRST.hash, other.hash)


@pytest.mark.parametrize("now", [PERIOD - INTERVAL, PERIOD + 3 * INTERVAL + 1])
def test_documents_outside_their_time_are_refused(now: int) -> None:
    with pytest.raises(ConsensusTimeError):
        accept_consensus(None, FIRST, now=now, software=SOFTWARE)


def test_newer_protocols_are_refused_with_both_versions() -> None:
    demanding = NET.sign(replace(NET.consensus, min_version="0.10.0"))
    with pytest.raises(RejectedError, match=r"0\.9\.9") as caught:
        accept_consensus(None, demanding, now=PERIOD, software="0.9.9")
    assert "0.10.0" in caught.value.why
    check_version(demanding.consensus, "0.10.0")
    check_version(demanding.consensus, "1.0.0")


@pytest.mark.parametrize("text", ["", "1", "1.2", "1.2.3.4", "a.b.c", "1.-2.3", "1.2.\u0663"])
def test_malformed_versions(text: str) -> None:
    with pytest.raises(DecodeError):
        parse_version(text)


def test_refreshes_are_spread_after_the_next_period() -> None:
    source = seeded()
    times = [next_refresh_at(NET.consensus, source) for _ in range(200)]
    due = PERIOD + INTERVAL
    assert min(times) >= due + INTERVAL // 12
    assert max(times) <= due + INTERVAL // 4
    assert len(set(times)) > 150
