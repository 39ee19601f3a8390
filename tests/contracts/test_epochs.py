"""The calendar, the beacon's hash chain, and budgets of epochs."""

import pytest
from brownie import accounts
from eth_utils import keccak
from world import DAY, QNET, World, bytes32, deployment, now, refused

SLOTS = 24


@pytest.fixture
def anyone():
    return {"from": accounts[9]}


def test_calendar(world):
    assert world.epochs.genesis() == world.genesis
    assert world.epochs.slotSeconds() * world.epochs.slotsPerEpoch() == DAY
    assert world.epochs.currentEpoch() == 0, "before genesis"
    assert world.epochs.epochStart(3) == world.genesis + 3 * DAY == world.epochs.epochEnd(2)
    world.advance_to(world.epochs.epochStart(2) - 1)
    assert world.epochs.currentEpoch() == 1
    world.advance_to(world.epochs.epochStart(2))
    assert world.epochs.currentEpoch() == 2


def test_reveal_of_an_epoch_leads_back_to_the_anchor(world):
    value = world.reveals[0]
    for _ in range(SLOTS):
        value = keccak(value)
    assert value == world.anchor == bytes(world.epochs.beaconAnchor())


def test_starting_an_epoch_fixes_parameters_budget_and_beacon(world, anyone):
    world.register(world.operators[0], "relay")
    world.advance_to(world.genesis)
    world.epochs.startEpoch(0, world.reveals[0], anyone)
    params_hash, reveal, budget, started_at, skipped = world.epochs.epochInfo(0)
    assert params_hash == world.parameters.paramsHash()
    assert bytes(reveal) == world.reveals[0]
    assert budget == 240_000 * QNET == world.vault.fundedOf(0)
    assert (started_at, skipped) == (now(), False)
    assert world.epochs.nodeCountOf(0) == 1
    assert world.epochs.nextEpoch() == 1


def test_epochs_start_in_order_and_not_before_their_time(world, anyone):
    with refused("EpochInFuture", 0, world.genesis):
        world.epochs.startEpoch(0, world.reveals[0], anyone)
    world.advance_to(world.genesis + 2 * DAY)
    with refused("EpochOutOfOrder", 0, 1):
        world.epochs.startEpoch(1, world.reveals[1], anyone)
    for epoch in range(3):
        world.epochs.startEpoch(epoch, world.reveals[epoch], anyone)
    with refused("EpochOutOfOrder", 3, 2):
        world.epochs.startEpoch(2, world.reveals[2], anyone)


def test_wrong_reveals_are_refused(world, anyone):
    world.advance_to(world.genesis)
    for wrong in (world.reveals[1], world.beacon[SLOTS - 2], world.anchor, bytes(32)):
        with refused("BadReveal"):
            world.epochs.startEpoch(0, wrong, anyone)


def test_reveal_cannot_be_replayed(world, anyone):
    world.advance_to(world.genesis + DAY)
    world.epochs.startEpoch(0, world.reveals[0], anyone)
    with refused("BadReveal"):
        world.epochs.startEpoch(1, world.reveals[0], anyone)


def test_owner_renews_the_chain(world, anyone):
    anchor, values = deployment.beacon_chain(bytes32("second"), SLOTS * 2)
    with refused("NotOwner"):
        world.epochs.setBeaconAnchor(anchor, anyone)
    world.advance_to(world.genesis + DAY)
    world.epochs.startEpoch(0, world.reveals[0], anyone)
    with world.as_timelock() as timelock:
        world.epochs.setBeaconAnchor(anchor, {"from": timelock})
    with refused("BadReveal"):
        world.epochs.startEpoch(1, world.reveals[1], anyone)
    world.epochs.startEpoch(1, values[SLOTS - 1], anyone)


def test_missed_report_is_skipped_after_its_deadline(world, anyone):
    world.end_epoch(0)
    deadline = world.epochs.epochEnd(0) + DAY // 2
    assert world.oracle.reportDeadline(0) == deadline
    with refused("DeadlineNotPassed", 0, deadline):
        world.epochs.skipEpoch(0, anyone)
    with refused("NotSkippable", 1):
        world.epochs.skipEpoch(1, anyone)
    world.advance_to(deadline + 1)
    promised = world.vault.totalFunded()
    world.epochs.skipEpoch(0, anyone)
    assert world.epochs.epochInfo(0)[4] is True
    assert world.vault.totalFunded() == promised - 240_000 * QNET == 0, "funds stay in the pool"
    assert world.oracle.nextEpoch() == 1
    with refused("NotSkippable", 0):
        world.epochs.skipEpoch(0, anyone)


def test_reported_epoch_cannot_be_skipped(world, anyone):
    world.bond_committee()
    world.end_epoch(0)
    world.submit(world.report(0, [world.leaf(0, 1, 0)]))
    world.advance(2 * DAY)
    with refused("AlreadyReported", 0):
        world.epochs.skipEpoch(0, anyone)


def test_epochs_are_skipped_in_order(world, anyone):
    world.end_epoch(0)
    world.end_epoch(1)
    world.advance(DAY)
    with refused("ReportOutOfOrder", 0, 1):
        world.epochs.skipEpoch(1, anyone)


def test_only_the_oracle_closes_and_only_epochs_skips(world, anyone):
    with refused("NotOracle"):
        world.epochs.closeEpoch(0, 0, anyone)
    with refused("NotEpochs"):
        world.oracle.markSkipped(0, anyone)


def test_calendar_must_be_pinned(module_isolation):
    parameters = deployment.profile_parameters("main")
    value = parameters["slot_s"][0]
    with pytest.raises(Exception, match="CalendarNotPinned|reverted"):
        World(parameters={"slot_s": (value, 1, DAY)})
