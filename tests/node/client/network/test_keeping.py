"""What a client keeps about the network, and the failures it remembers."""

from dataclasses import replace

import pytest

from node.client.network.causes import MAX_CAUSES, Causes
from node.client.network.keeping import COMMITTEE_FILE, CONSENSUS_FILE, Keeping
from node.directory.trust import MAX_TRUST_AGE_S, TrustState
from node.errors import Stage, TrustAgeError
from node.view import NetworkView
from qnet.errors import CryptoError, DecodeError
from qnet.messages.succession import CommitteeHistory
from tests.qnet.messages.test_succession import CHAIN_OF, SETS, START, trust_of
from tests.support.signed_network import PARAMETERS, PERIOD, make_network

NET = make_network()
SIGNED = NET.sign(NET.consensus)
INTERVAL = PARAMETERS.consensus_interval_s


def view(now=PERIOD + 1.0, trust=NET.trust):
    return NetworkView(trust, PARAMETERS, now=lambda: now, software="0.1.0")


def keeping(folder, **options):
    return Keeping(folder, options.pop("bundle", NET.trust.hash), **options)


def test_a_consensus_outlives_the_process(tmp_path):
    first, known = view(), keeping(tmp_path)
    assert not known.load(first, Causes())
    first.take(SIGNED)
    known.store(first, SIGNED)
    again = view()
    assert keeping(tmp_path).load(again, Causes())
    assert again.hash == SIGNED.hash


@pytest.mark.parametrize(
    ("damage", "now", "kind"),
    [(b"", PERIOD, DecodeError), (b"junk", PERIOD, DecodeError), (None, PERIOD * 2, None)],
)
def test_what_cannot_be_used_is_a_cause_and_no_failure(tmp_path, damage, now, kind):
    (tmp_path / CONSENSUS_FILE).write_bytes(SIGNED.encode() if damage is None else damage)
    causes = Causes()
    assert not keeping(tmp_path).load(view(now=float(now)), causes)
    [cause] = causes.by_source.values()
    assert cause.stage is Stage.CACHE
    assert kind is None or isinstance(cause.error, kind)


def test_without_a_folder_nothing_is_written(tmp_path):
    looked = view()
    looked.take(SIGNED)
    Keeping(None, NET.trust.hash).store(looked, SIGNED)
    assert list(tmp_path.iterdir()) == []


def test_a_consensus_confirms_its_committee(tmp_path):
    old = PERIOD - MAX_TRUST_AGE_S - 100
    known = keeping(tmp_path, made_at=old)
    with pytest.raises(TrustAgeError):
        known.check_age(PERIOD)
    looked = view()
    looked.take(SIGNED)
    known.store(looked, SIGNED)
    known.check_age(PERIOD + MAX_TRUST_AGE_S)
    later = keeping(tmp_path, made_at=old)
    later.load(view(), Causes())
    later.check_age(PERIOD + MAX_TRUST_AGE_S)
    keeping(tmp_path, made_at=old, checks_age=False).check_age(PERIOD * 2)


def test_the_committee_followed_is_taken_up_for_the_same_bundle_only(tmp_path):
    start = trust_of(SETS[0])
    state = TrustState(start.hash, START.follow(CHAIN_OF), PERIOD)
    (tmp_path / COMMITTEE_FILE).write_bytes(state.encode())
    followed = view(trust=start)
    keeping(tmp_path, bundle=start.hash).load(followed, Causes())
    assert followed.history.newest == trust_of(SETS[3])
    assert followed.cache.changes == tuple(CHAIN_OF)
    for other in (
        {"bundle": trust_of(SETS[1]).hash},
        {"bundle": start.hash, "made_at": PERIOD + 1},
    ):
        fresh = view(trust=start)
        keeping(tmp_path, **other).load(fresh, Causes())
        assert fresh.history == CommitteeHistory(start)


def test_a_damaged_committee_file_is_ignored(tmp_path):
    (tmp_path / COMMITTEE_FILE).write_bytes(b"junk")
    looked = view()
    keeping(tmp_path).load(looked, Causes())
    assert looked.history == CommitteeHistory(NET.trust)


def test_evidence_is_kept_and_known_again(tmp_path):
    looked = view()
    keeping(tmp_path).load(looked, Causes())
    looked.take(SIGNED)
    with pytest.raises(Exception, match="two consensuses"):
        looked.take(NET.sign(replace(NET.consensus, users=7)))
    again = view()
    keeping(tmp_path).load(again, Causes())
    assert again.conflicts == looked.conflicts
    assert len(again.conflicts) == 1


def test_causes_count_and_end_with_a_success():
    causes = Causes()
    for _ in range(3):
        causes.failed(Stage.SEED, "node a", DecodeError("bad", why="because"))
    causes.failed(Stage.BRIDGE, "node b", CryptoError())
    assert [row["count"] for row in causes.rows()] == [3, 1]
    assert causes.rows()[0]["cause"] == "seed node a: bad (because)"
    assert causes.last_stage is Stage.BRIDGE
    assert causes.has_forgeries(Stage.BRIDGE)
    assert not causes.has_forgeries(Stage.SEED)
    assert causes.problem == "bridge node b: cryptographic check failed"
    causes.passed("node b")
    assert causes.problem == ""
    assert causes.text == "seed node a: bad (because)"


def test_causes_are_bounded():
    causes = Causes()
    for place in range(MAX_CAUSES + 5):
        causes.failed(Stage.SEED, f"node {place}", CryptoError())
    assert len(causes.rows()) == MAX_CAUSES
    assert "node 4" not in causes.by_source
