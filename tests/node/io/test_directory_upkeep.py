"""What a node does for the directory, with a committee of the test's making."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest

from node.io import directory_upkeep as upkeep_module
from node.io.directory_upkeep import DirectoryUpkeep
from node.io.evidence import EvidenceStore
from node.view import NetworkView
from qnet.errors import CryptoError
from qnet.messages.errors import ConsensusConflictError
from qnet.messages.succession import encode_changes
from tests.qnet.messages.test_succession import CHAIN_OF, KEYS, SETS, trust_of
from tests.support.network import eventually
from tests.support.signed_network import PARAMETERS, PERIOD, NodeKeys, make_network

NET = make_network()
SIGNED = NET.sign(NET.consensus)
OTHER = NET.sign(replace(NET.consensus, users=7))
WIRES = [node.descriptor().encode() for node in NET.nodes]


class Members:
    """A ledger client that answers from memory."""

    def __init__(self):
        self.changes = None
        self.documents = []
        self.pages = {0: WIRES[:5], 5: WIRES[5:]}
        self.evidence = []
        self.takes = 1

    async def committee_changes(self):
        return self.changes

    async def descriptors(self, after):
        return self.pages.get(after, [])

    async def consensus_of_each(self, _period):
        for document in self.documents:
            yield document

    async def submit_evidence(self, proof):
        self.evidence.append(proof)
        return self.takes


def make(tmp_path, members, trust=NET.trust):
    view = NetworkView(trust, PARAMETERS, now=lambda: PERIOD + 1.0, software="0.1.0")
    made = DirectoryUpkeep(view, members, EvidenceStore(tmp_path), settle_s=0.0)
    made.listen()
    return made


@asynccontextmanager
async def running(upkeep):
    tasks = [asyncio.get_running_loop().create_task(loop()) for loop in upkeep.loops()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_after_a_consensus_everything_is_fetched_and_compared(tmp_path):
    members = Members()
    upkeep = make(tmp_path, members)
    members.documents = [SIGNED.encode(), b"junk", OTHER.encode()]
    members.pages[0] = [b"junk", NodeKeys.make(99, NET.nodes[0].role).descriptor().encode()]
    members.pages[99] = WIRES
    async with running(upkeep):
        upkeep.view.take(SIGNED)
        await eventually(lambda: members.evidence and len(upkeep.view.cache.descriptors) == 8)
    assert upkeep.view.held is SIGNED
    [proof] = upkeep.view.conflicts.values()
    assert members.evidence == [proof.encode()]
    assert [stored.evidence for stored in EvidenceStore(tmp_path).load()] == [proof]


async def test_proofs_are_sent_again_until_taken_also_after_a_restart(tmp_path, monkeypatch):
    monkeypatch.setattr(upkeep_module, "SUBMIT_RETRY_S", 0.02)
    members = Members()
    members.takes = 0
    upkeep = make(tmp_path, members)
    upkeep.view.take(SIGNED)
    with pytest.raises(ConsensusConflictError):
        upkeep.view.take(OTHER)
    async with running(upkeep):
        await eventually(lambda: len(members.evidence) > 2)
        members.takes = 1
        await eventually(lambda: bool(upkeep.submitted))
    again = make(tmp_path, members)
    count = len(members.evidence)
    async with running(again):
        await eventually(lambda: bool(again.submitted))
    assert len(members.evidence) == count + 1


async def test_a_node_follows_the_committee_and_serves_the_whole_chain(tmp_path):
    members = Members()
    members.changes = encode_changes(CHAIN_OF)
    upkeep = make(tmp_path, members, trust_of(SETS[1]))
    new = replace(NET, members=tuple(KEYS[:8]))
    document = new.sign(NET.consensus, members=(0, 2, 3, 4, 5)).encode()
    with pytest.raises(CryptoError):
        upkeep.view.read(document)
    await upkeep.follow_committee()
    assert upkeep.view.history.newest == trust_of(SETS[3])
    assert upkeep.view.cache.changes == tuple(CHAIN_OF)
    assert upkeep.view.read(document)


@pytest.mark.parametrize("changes", [None, b"junk", encode_changes(CHAIN_OF[::-1])])
async def test_useless_changes_change_nothing(tmp_path, changes):
    members = Members()
    members.changes = changes
    upkeep = make(tmp_path, members, trust_of(SETS[0]))
    await upkeep.follow_committee()
    assert upkeep.view.cache.changes in {(), tuple(CHAIN_OF[:1])}
