"""A report is submitted, waits, and becomes final; early, wrong and doubled ones are refused."""

import pytest
from brownie import accounts, web3
from typed_data import REPORT
from world import DAY, DISABLED, FINAL, QNET, SUBMITTED, World, bytes32, now, refused

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


def test_not_final_before_the_window_closes(ready):
    ready.submit(simple(ready, 0))
    until = now() + WINDOW
    for wait in (0, WINDOW - 10):
        ready.advance_to(until - WINDOW + wait)
        with refused("WindowOpen", until):
            ready.oracle.finalize(0, {"from": accounts[9]})
    ready.advance_to(until)
    ready.oracle.finalize(0, {"from": accounts[9]})
    with refused("WrongStatus", 0, FINAL):
        ready.oracle.finalize(0, {"from": accounts[9]})
    with refused("WrongStatus", 1, 0):
        ready.oracle.finalize(1, {"from": accounts[9]})


def test_second_report_for_an_epoch(ready):
    ready.submit(simple(ready, 0))
    with refused("AlreadyReported", 0):
        ready.submit(simple(ready, 0, dataHash=bytes32("other"), prevReportHash=bytes(32)))
    ready.finalize(0)
    with refused("AlreadyReported", 0):
        ready.submit(simple(ready, 0, dataHash=bytes32("other"), prevReportHash=bytes(32)))


def test_report_before_the_end_of_its_epoch(ready):
    ready.advance_to(ready.epochs.epochEnd(1) - 100)
    ready.epochs.startEpoch(1, ready.reveals[1], {"from": accounts[9]})
    with refused("EpochNotOver", 1, ready.epochs.epochEnd(1)):
        ready.submit(simple(ready, 1))


def test_report_of_an_epoch_never_started(ready):
    ready.submit(simple(ready, 0))
    ready.advance_to(ready.epochs.epochEnd(1))
    with refused("EpochNotStarted", 1):
        ready.submit(simple(ready, 1))


def test_late_report(ready):
    deadline = ready.epochs.epochEnd(0) + DEADLINE
    ready.advance_to(deadline + 1)
    with refused("DeadlinePassed", 0, deadline):
        ready.submit(simple(ready, 0))


def test_reports_come_in_order(ready):
    ready.end_epoch(1)
    with refused("ReportOutOfOrder", 0, 1):
        ready.submit(simple(ready, 1))


def test_too_few_signers_or_a_doubled_one(ready):
    report = simple(ready, 0)
    with refused("BadQuorum", 2, 3):
        ready.submit(report, members=(1, 3))
    _, own = ready.quorum_signatures(ready.oracle, "EpochReport", REPORT, report, (0,))
    with refused("BadSignature", 1):
        ready.oracle.submit(report, 0b111, own * 3, {"from": accounts[9]})


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


def test_contents_must_fit_the_epoch(ready):
    budget = ready.epochs.epochInfo(0)[2]
    with refused("BudgetExceeded", budget + 1, budget):
        ready.submit(simple(ready, 0, totalReward=budget + 1))
    for count in (0, 2):
        with refused("WrongNodeCount", 1, count):
            ready.submit(simple(ready, 0, nodeCount=count))
    with refused("WrongAttempt", 0, 1):
        ready.submit(simple(ready, 0, attempt=1))
    with refused("WrongParameters"):
        ready.submit(simple(ready, 0, paramsHash=bytes32("mine")))
    with refused("WrongPredecessor"):
        ready.submit(simple(ready, 0, prevReportHash=bytes32("before")))


def test_parameters_of_the_epoch_count_not_of_today(ready):
    before = bytes(ready.parameters.paramsHash())
    with ready.as_timelock() as timelock:
        key = b"alpha_ppm".ljust(32, b"\x00")
        ready.parameters.set(key, 400_000, {"from": timelock})
    with refused("WrongParameters"):
        ready.submit(simple(ready, 0, paramsHash=bytes(ready.parameters.paramsHash())))
    ready.submit(simple(ready, 0, paramsHash=before))


def test_reports_follow_each_other(ready):
    ready.submit(simple(ready, 0))
    first = ready.oracle.lastReportHash()
    ready.end_epoch(1)
    with refused("WrongPredecessor"):
        ready.submit(simple(ready, 1, prevReportHash=bytes(32)))
    ready.submit(simple(ready, 1))
    assert bytes(ready.oracle.report(1)[0].dict()["prevReportHash"]) == bytes(first)
    ready.advance(WINDOW)
    with refused("PredecessorNotFinal", 0):
        ready.oracle.finalize(1, {"from": accounts[9]})
    ready.oracle.finalize(0, {"from": accounts[9]})
    ready.oracle.finalize(1, {"from": accounts[9]})


def test_at_most_eight_reports_wait(ready):
    for epoch in range(8):
        if epoch:
            ready.end_epoch(epoch)
        ready.submit(simple(ready, epoch))
    assert ready.oracle.unfinished() == 8
    ready.end_epoch(8)
    with refused("TooManyUnfinished", 8):
        ready.submit(simple(ready, 8))
    ready.oracle.finalize(0, {"from": accounts[9]})
    ready.submit(simple(ready, 8))


def test_disabled_report_takes_its_successors_along(ready):
    ready.submit(simple(ready, 0))
    ready.end_epoch(1)
    ready.submit(simple(ready, 1))
    with refused("NotCourt", accounts[9].address):
        ready.oracle.disable(0, {"from": accounts[9]})
    with ready.as_timelock() as timelock:
        ready.oracle.disable(0, {"from": timelock})
    assert [ready.oracle.report(epoch)[3] for epoch in (0, 1)] == [DISABLED, DISABLED]
    assert (ready.oracle.unfinished(), ready.oracle.nextEpoch()) == (0, 0)
    assert bytes(ready.oracle.lastReportHash()) == bytes(32)
    ready.advance(WINDOW)
    with refused("WrongStatus", 0, DISABLED):
        ready.oracle.finalize(0, {"from": accounts[9]})


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


def test_disabled_and_not_reported_anew_is_skipped(ready):
    ready.submit(simple(ready, 0))
    ready.end_epoch(1)
    ready.submit(simple(ready, 1))
    with ready.as_timelock() as timelock:
        ready.oracle.disable(1, {"from": timelock})
    assert ready.oracle.report(0)[3] == SUBMITTED
    ready.advance(DEADLINE + 1)
    ready.epochs.skipEpoch(1, {"from": accounts[9]})
    with refused("DeadlinePassed"):
        ready.submit(simple(ready, 1))
    ready.end_epoch(2)
    ready.submit(simple(ready, 2))
    ready.finalize(0)
    ready.finalize(2)


def test_final_report_cannot_be_disabled(ready):
    ready.submit(simple(ready, 0))
    ready.finalize(0)
    with ready.as_timelock() as timelock, refused("WrongStatus", 0, FINAL):
        ready.oracle.disable(0, {"from": timelock})


def test_leaf_hash_is_the_one_of_the_specification(ready):
    leaf = ready.leaf(0, 1, 5, 7)
    assert bytes(ready.oracle.leafHash(leaf)) == ready.leaf_hash(leaf)
