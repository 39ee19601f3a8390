"""The calendar, the beacon's hash chain, and budgets of epochs."""

import pytest
from brownie import accounts
from eth_utils import keccak
from world import DAY, QNET, bytes32, deployment, now, refused

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
