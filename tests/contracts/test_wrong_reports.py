"""Wrong reports are proven wrong from real trees, disabled, made anew, and paid for."""

import pytest
from brownie import accounts
from typed_data import AUDIT_LEAF, LINK_LEAF
from world import (
    DISABLED,
    ENTRY,
    EXIT,
    FINAL,
    NO_LEAF,
    NO_RECEIPT,
    QNET,
    RECEIVER,
    RELAY,
    refused,
    slots,
)

BOND = 100_000 * QNET
MEMBER_BOND = 1_000_000 * QNET
TOO_MUCH = 1000 * QNET
UNNAMED = bytes(32)


@pytest.fixture(scope="module")
def running(world):
    """An entry, a relay and an exit of three owners; epoch 0 is over."""
    world.bond_committee()
    roles = (("entry", ENTRY), ("relay", RELAY), ("exit", EXIT))
    for operator, (name, role) in zip(world.operators, roles, strict=True):
        world.bonded_node(operator, name, BOND, role)
    world.end_epoch(0)
    return world


@pytest.fixture(scope="module")
def challenger(running):
    return running.challenger(accounts[6])


@pytest.fixture(scope="module")
def honest(running):
    return running.honest_leaves(0)


def overpaid(leaf):
    """Return a leaf that pays too much."""
    return (*leaf[:7], leaf[7] + TOO_MUCH, leaf[8] + TOO_MUCH, leaf[9])


def values(world):
    return list(world.parameters.values())


def bad_leaf(world, leaf, leaves, epoch=0, previous=NO_LEAF):
    """Return the arguments of `proveBadLeaf`."""
    return (epoch, world.proven(leaf, leaves), previous, values(world))


def charge(world, report, members):
    digest = world.oracle.reportDigest(report)
    bitmap, signatures = world.report_signatures(report, members)
    return world.court.charge(report[0], digest, bitmap, signatures, {"from": accounts[9]})


def test_a_bad_leaf_is_proven_and_the_epoch_reported_anew(running, challenger, honest):
    world, court, oracle = running, running.court, running.oracle
    wicked = [honest[0], overpaid(honest[1]), honest[2]]
    report = world.report(0, wicked)
    world.submit(report)
    with refused("NothingWrong"):
        world.prove(challenger, court.proveBadLeaf, *bad_leaf(world, wicked[0], wicked))
    with refused("InvalidProof", 1):
        elsewhere = (0, (honest[1], world.proof(wicked[1], wicked)), NO_LEAF, values(world))
        world.prove(challenger, court.proveBadLeaf, *elsewhere)
    before = world.token.balanceOf(challenger)
    tx = world.prove(challenger, court.proveBadLeaf, *bad_leaf(world, wicked[1], wicked))
    assert tx.events["ReportProvenWrong"]["disabled"] is True
    assert world.token.balanceOf(challenger) == before
    assert oracle.report(0).dict()["status"] == DISABLED
    assert oracle.attemptOf(0) == 1

    with refused("WrongAttempt", 1, 0):
        world.submit(world.report(0, honest, attempt=0))
    world.submit(world.report(0, honest))
    charged = charge(world, report, (0, 1, 2))
    assert charged.events["SignersCharged"]["count"] == 3
    with refused("NothingWrong"):
        charge(world, report, (1,))
    assert [member.dict()["suspended"] for member in world.committee.members()] == [1, 1, 1, 0]

    world.finalize(0)
    world.settle(honest[1], honest)
    assert world.hub.owed(2) == honest[1][8]
    for number in (1, 2, 3):
        world.execute_slash(number)
    assert [world.committee.bondOf(member) for member in range(4)] == [0, 0, 0, MEMBER_BOND]
    assert world.token.balanceOf(challenger) == before + 3 * MEMBER_BOND // 20


def test_the_second_report_must_follow_from_the_first(running, challenger, honest):
    """A leaf is held against the one before: neither sums nor reputation can be made up."""
    world, court = running, running.court
    world.submit(world.report(0, honest))
    world.end_epoch(1)
    right = world.honest_leaves(1, honest)
    wicked = [right[0], (*right[1][:6], right[1][6] + 1, *right[1][7:]), right[2]]
    world.submit(world.report(1, wicked))
    before = world.proven(honest[1], honest)
    with refused("WrongPredecessorLeaf"):
        other = world.proven(honest[0], honest)
        world.prove(challenger, court.proveBadLeaf, *bad_leaf(world, wicked[1], wicked, 1, other))
    tx = world.prove(challenger, court.proveBadLeaf, *bad_leaf(world, wicked[1], wicked, 1, before))
    assert [event["epoch"] for event in tx.events["ReportDisabled"]] == [1]

    fell = (*right[0][:8], honest[0][8] - 1, right[0][9])
    report = world.report(1, [fell, *right[1:]])
    world.submit(report)
    proof = (1, world.proven(fell, [fell, *right[1:]]), world.proven(honest[0], honest))
    world.prove(challenger, court.proveRegression, *proof)
    assert world.oracle.attemptOf(1) == 2
    assert world.oracle.report(0).dict()["status"] != DISABLED


def test_what_a_final_report_paid_too_much_is_refilled(running, challenger, honest):
    world, court = running, running.court
    wicked = [honest[0], overpaid(honest[1]), honest[2]]
    report = world.report(0, wicked)
    world.submit(report)
    world.finalize(0)
    world.settle(wicked[1], wicked)
    tx = world.prove(challenger, court.proveBadLeaf, *bad_leaf(world, wicked[1], wicked))
    assert tx.events["ReportProvenWrong"]["disabled"] is False
    assert world.oracle.report(0).dict()["status"] == FINAL
    assert court.wrongReportOf(world.oracle.reportDigest(report)).dict()["refill"] == TOO_MUCH
    charge(world, report, (0,))
    charge(world, report, (1, 2))
    vault, supply = world.token.balanceOf(world.vault), world.token.totalSupply()
    for number in (1, 2, 3):
        world.execute_slash(number)
    assert world.token.balanceOf(world.vault) == vault + TOO_MUCH, "once, not from every signer"
    burned = 3 * MEMBER_BOND * 19 // 20 - TOO_MUCH
    assert world.token.totalSupply() == supply - burned


def test_bad_links_are_proven(running, challenger, honest):
    world, court = running, running.court
    sent = world.receipt(0, 3, 1, 2, 64)
    received = world.receipt(0, 3, 1, 2, 62, RECEIVER)
    names = (world.receipt_name(*sent), world.receipt_name(*received))
    right = (0, 3, 1, 2, 64, 62, 62, *names)
    invented = (0, 4, 1, 2, 128, 128, 128, names[0], UNNAMED)
    miscounted = (0, 5, 2, 3, 64, 64, 128, UNNAMED, UNNAMED)
    links = [right, invented, miscounted]
    world.submit(world.report(0, honest, links=links))

    def proof(leaf, sender=NO_RECEIPT, receiver=NO_RECEIPT):
        return (0, leaf, world.proof(leaf, links, LINK_LEAF), *sender, *receiver)

    with refused("NothingWrong"):
        world.prove(challenger, court.proveBadLink, *proof(right, sent, received))
    with refused("NothingWrong"):
        world.prove(challenger, court.proveBadLink, *proof(invented))
    with refused("InvalidProof", 2):
        world.prove(challenger, court.proveBadLink, *proof(invented, received))
    number, salt = world.commit(challenger, court.proveBadLink, *proof(miscounted))
    tx = world.prove(challenger, court.proveBadLink, *proof(invented, sent))
    assert tx.events["ReportProvenWrong"]["disabled"] is True
    late = court.proveBadLink(number, salt, *proof(miscounted), {"from": challenger})
    assert late.events["ChallengeProven"]["moot"] is True


def test_bad_medians_are_proven(running, challenger):
    world, court = running, running.court
    measured = slots(1000) - (100 << 20)  # slot 2 is 900
    leaves = [
        world.honest_leaf(0, 1),
        world.honest_leaf(0, 2, slot_p=measured),
        world.honest_leaf(0, 3),
    ]
    results = ((0, 1, 3), (10, 10, 10), (10, 5, 9))
    audits = [(0, 2, 2, *results), (0, 2, 3, *results), (0, 3, 3, (1, 0, 2), *results[1:])]
    world.submit(world.report(0, leaves, audits=audits))

    def proof(audit, leaf):
        place = world.proof(audit, audits, AUDIT_LEAF)
        return (0, audit, place, world.proven(leaf, leaves), NO_LEAF)

    with refused("NothingWrong"):
        world.prove(challenger, court.proveBadMedian, *proof(audits[0], leaves[1]))
    with refused("InvalidProof", 1):
        world.prove(challenger, court.proveBadMedian, *proof(audits[1], leaves[1]))
    number, salt = world.commit(challenger, court.proveBadMedian, *proof(audits[2], leaves[2]))
    tx = world.prove(challenger, court.proveBadMedian, *proof(audits[1], leaves[2]))
    assert tx.events["ReportProvenWrong"]["disabled"] is True
    disordered = court.proveBadMedian(
        number, salt, *proof(audits[2], leaves[2]), {"from": challenger}
    )
    assert disordered.events["ChallengeProven"]["moot"] is True


def test_doubled_leaves_are_proven(running, challenger, honest):
    world, court = running, running.court
    twice = [*honest, overpaid(honest[0])]
    report = world.report(0, twice, totalReward=0)
    world.submit(report)
    pair = (world.proven(twice[0], twice), world.proven(twice[3], twice))
    with refused("NothingWrong"):
        world.prove(challenger, court.proveDuplicateNode, 0, pair[0], pair[0])
    world.prove(challenger, court.proveDuplicateNode, 0, *pair)
    assert world.oracle.attemptOf(0) == 1

    links = [(0, 3, 1, 2, n, n, n, UNNAMED, UNNAMED) for n in (8, 16, 24)]
    world.submit(world.report(0, honest, links=links))
    places = [(leaf, world.proof(leaf, links, LINK_LEAF)) for leaf in links]
    world.prove(challenger, court.proveDuplicateLink, 0, *places[0], *places[1])
    assert world.oracle.attemptOf(0) == 2

    audits = [(0, 3, 1, (0,), (n,), (n,)) for n in (1, 2, 3)]
    world.submit(world.report(0, honest, audits=audits))
    places = [(leaf, world.proof(leaf, audits, AUDIT_LEAF)) for leaf in audits]
    world.prove(challenger, court.proveDuplicateAudit, 0, *places[0], *places[2])
    assert world.oracle.attemptOf(0) == 3


def test_only_who_signed_a_wrong_report_is_charged(running, challenger, honest):
    world = running
    wicked = [overpaid(honest[0]), *honest[1:]]
    report = world.report(0, wicked)
    world.submit(report)
    digest = world.oracle.reportDigest(report)
    with refused("NotProvenWrong"):
        charge(world, report, (0,))
    world.prove(challenger, world.court.proveBadLeaf, *bad_leaf(world, wicked[0], wicked))
    bitmap, signatures = world.report_signatures(report, (0,))
    anyone = {"from": accounts[9]}
    with refused("BadSignature", world.signers[1].address):
        world.court.charge(0, digest, bitmap << 1, signatures, anyone)
    with refused("UnknownReport", 1):
        world.court.charge(1, digest, bitmap, signatures, anyone)
    charge(world, report, (0,))
    assert world.slasher.slashOf(1).dict()["challenger"] == challenger
    assert world.slasher.count() == 1
