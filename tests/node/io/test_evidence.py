"""Proofs on disk: whole or not at all, once, and not without end."""

from dataclasses import replace

import pytest

from node.io import evidence as evidence_module
from node.io.evidence import EvidenceStore, StoredEvidence
from node.view import Conflict
from qnet.messages.evidence import DoubleConsensus
from tests.support.signed_network import make_network

NET = make_network()
SIGNED = NET.sign(NET.consensus)


def conflict(users):
    other = NET.sign(replace(NET.consensus, users=users))
    return Conflict(DoubleConsensus.of(SIGNED, other), SIGNED, other)


@pytest.fixture
def store(tmp_path):
    return EvidenceStore(tmp_path / "state" / "evidence")


def test_proof_and_documents_come_back(store):
    found = conflict(7)
    path = store.keep(found)
    assert path.stat().st_mode & 0o777 == 0o600
    expected = StoredEvidence(found.evidence, SIGNED.encode(), found.refused.encode())
    assert store.load() == [expected]


def test_the_same_proof_is_kept_once(store):
    assert store.keep(conflict(7))
    assert store.keep(conflict(7)) is None
    assert len(store.load()) == 1


def test_proofs_are_bounded(store, monkeypatch):
    monkeypatch.setattr(evidence_module, "MAX_EVIDENCE_FILES", 2)
    kept = [store.keep(conflict(users)) for users in (7, 8, 9)]
    assert [path is not None for path in kept] == [True, True, False]


def test_damaged_files_are_left_out(store):
    whole = store.keep(conflict(7))
    broken = store.keep(conflict(8))
    broken.write_bytes(whole.read_bytes()[:-5])
    assert [stored.evidence for stored in store.load()] == [conflict(7).evidence]


def test_a_crash_while_writing_leaves_nothing(store, monkeypatch):
    def crash(*_arguments):
        raise OSError("disk full")

    monkeypatch.setattr("qnet.files.os.fsync", crash)
    with pytest.raises(OSError, match="full"):
        store.keep(conflict(7))
    assert store.load() == []
