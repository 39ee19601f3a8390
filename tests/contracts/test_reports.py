"""A quorum reports an epoch; its signatures bind every field; a disabled one is reported anew."""

import pytest
from brownie import accounts, web3
from typed_data import REPORT
from world import DAY, FINAL, QNET, SUBMITTED, World, bytes32, now, refused

WINDOW = 3 * DAY
DEADLINE = DAY // 2


@pytest.fixture(scope="module")
def ready(world):
    """Epoch 0 is over, one node is registered, and the committee is bonded."""
    world.bond_committee()
    world.bonded_node(world.operators[0], "relay")
    world.end_epoch(0)
    return world


def simple(world, epoch, **changes):
    return world.report(epoch, [world.leaf(epoch, 1, 1000 * QNET * (epoch + 1))], **changes)


def test_report_becomes_final(ready):
    report = simple(ready, 0)
    tx = ready.submit(report)
    stored, digest, submitted_at, status = ready.oracle.report(0)
    for kept, sent in zip(stored, report, strict=True):
        assert kept == (web3.to_hex(sent) if isinstance(sent, bytes) else sent)
    assert (submitted_at, status) == (now(), SUBMITTED)
    assert tx.events["ReportSubmitted"]["hash"] == digest == ready.oracle.reportDigest(report)
    assert tx.events["ReportSubmitted"]["bitmap"] == 0b111
    assert ready.oracle.lastReportHash() == digest
    assert bytes(ready.oracle.nodesRoot(0)) == report[3]
    assert not ready.oracle.isFinal(0)
    ready.finalize(0)
    assert ready.oracle.isFinal(0)
    assert ready.oracle.report(0)[3] == FINAL
    assert ready.vault.fundedOf(0) == ready.vault.totalEarned() == 1000 * QNET


def test_eleven_of_sixteen_suffice(module_isolation):
    world = World(members=16)
    world.bond_committee()
    world.end_epoch(0)
    report = world.report(0, [world.leaf(0, 1, 0)])
    with refused("BadQuorum", 10, 11):
        world.submit(report, members=range(6, 16))
    world.submit(report, members=range(5, 16))


def test_signatures_bind_every_field(ready):
    report = simple(ready, 0)
    bitmap, signed = ready.quorum_signatures(ready.oracle, "EpochReport", REPORT, report, (0, 1, 2))
    for place, value in ((3, bytes32("root")), (6, report[6] + 1), (8, bytes32("blob"))):
        forged = report[:place] + (value,) + report[place + 1 :]
        with refused("BadSignature", 0):
            ready.oracle.submit(forged, bitmap, signed, {"from": accounts[9]})


def test_disabled_epochs_are_reported_anew(ready):
    ready.submit(simple(ready, 0))
    ready.end_epoch(1)
    ready.submit(simple(ready, 1))
    ready.advance(DAY)
    with ready.as_timelock() as timelock:
        ready.oracle.disable(0, {"from": timelock})
    assert ready.oracle.reportDeadline(0) == now() + DEADLINE
    assert [ready.oracle.attemptOf(epoch) for epoch in (0, 1)] == [1, 1]
    ready.submit(simple(ready, 0, dataHash=bytes32("right")))
    until = now() + WINDOW
    ready.submit(simple(ready, 1))
    with refused("WindowOpen", until):
        ready.oracle.finalize(0, {"from": accounts[9]})
    ready.finalize(0)
    ready.finalize(1)


def test_leaf_hash_is_the_one_of_the_specification(ready):
    leaf = ready.leaf(0, 1, 5, 7)
    assert bytes(ready.oracle.leafHash(leaf)) == ready.leaf_hash(leaf)
