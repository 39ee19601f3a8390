"""A member is admitted, bonds, signs, is caught or leaves with honour, and gets its bond back."""

import pytest
from brownie import accounts
from eth_account import Account
from typed_data import CONSENSUS
from world import DAY, QNET, bytes32, refused

BOND = 1_000_000 * QNET
HASH, OTHER = bytes32("consensus"), bytes32("another consensus")
LOCK_EPOCHS = 49
NEWCOMER = 4


@pytest.fixture(scope="module")
def bonded(world):
    world.bond_committee()
    return world


def signatures(world, valid_after, members, digest=HASH):
    return world.quorum_signatures(
        world.committee, "Consensus", CONSENSUS, (valid_after, digest), members
    )


def anchor(world, valid_after, members, digest=HASH):
    bitmap, signed = signatures(world, valid_after, members, digest)
    return world.committee.anchor(valid_after, digest, bitmap, signed, {"from": accounts[9]})


def admit(world):
    """Admit a fifth member, which bonds; return its owner and the moment it counts from."""
    owner, key = accounts.add(), Account.create()
    world.signers.append(key)
    with world.as_timelock() as timelock:
        member = (owner, key.address, "http://newcomer.example")
        tx = world.committee.addMember(member, {"from": timelock})
    world.bond_committee([owner])
    return owner, tx.events["MemberAdded"]["activeFrom"]


def test_founders_bond_before_they_count(world):
    signer = world.signers[0].address
    assert (world.committee.size(), world.committee.quorum()) == (4, 3)
    assert not world.committee.isMember(signer)
    world.bond_committee([world.member_owners[0]])
    assert world.committee.isMember(signer)
    assert world.committee.bondOf(0) == BOND == world.token.balanceOf(world.committee)
    member = world.committee.members()[0].dict()
    assert (member["owner"], member["signer"]) == (world.member_owners[0], signer)
    assert (member["bonded"], member["suspended"], member["active"]) == (True, False, True)
    with refused("AlreadyBonded", 0):
        world.committee.depositBond({"from": world.member_owners[0]})
    with refused("BadSignature", 1):
        anchor(world, 3600, (0, 1, 2))


def test_from_admission_to_the_loss_of_everything(bonded):
    world, committee = bonded, bonded.committee
    owner, active_from = admit(world)
    signer = world.signers[NEWCOMER].address
    assert active_from == world.epochs.epochStart(7), "a set is frozen one epoch ahead"
    assert not committee.isMember(signer)
    with refused("BadSignature", NEWCOMER):
        anchor(world, world.genesis, (0, 1, 4))
    world.advance_to(world.epochs.epochStart(6))
    assert committee.nextChange() == world.epochs.epochStart(14), "the next set is frozen too"
    world.advance_to(active_from)
    assert committee.isMember(signer)
    assert (committee.size(), committee.quorum()) == (5, 4)
    moment = active_from + 3600
    anchor(world, moment, (0, 1, 2, 4))
    assert bytes(committee.anchorOf(moment)) == HASH

    # it signs a second consensus for the moment; whoever sees both tells
    pair = [signatures(world, moment, (NEWCOMER,), digest)[1] for digest in (HASH, OTHER)]
    challenger = world.challenger(accounts[6])
    before = world.token.balanceOf(challenger)
    proof = (NEWCOMER, moment, HASH, pair[0], OTHER, pair[1])
    tx = world.prove(challenger, world.court.proveConsensuses, *proof)
    number = tx.events["SlashQueued"]["id"]
    assert world.token.balanceOf(challenger) == before, "the challenge's bond came back"
    assert committee.members()[NEWCOMER].dict()["suspended"] is True
    assert not committee.isMember(signer), "at once, in spite of the frozen set"
    with refused("BadSignature", NEWCOMER):
        anchor(world, moment + 3600, (0, 1, 2, 4))
    assert committee.quorum() == 4, "fewer than before never suffice"
    anchor(world, moment + 3600, (0, 1, 2, 3))

    supply = world.token.totalSupply()
    until = world.slasher.slashOf(number).dict()["executableAt"]
    with refused("InEscrow", number, until):
        world.slasher.execute(number, {"from": accounts[9]})
    executed = world.execute_slash(number).events
    assert executed["BondSlashed"]["amount"] == BOND
    assert world.token.balanceOf(challenger) == before + BOND // 20
    assert world.token.totalSupply() == supply - BOND * 19 // 20
    world.advance_to(executed["MemberRemoved"]["activeUntil"])
    assert (committee.size(), committee.quorum()) == (4, 3)
    with refused("NotBonded", NEWCOMER):
        committee.withdrawBond({"from": owner})
    with refused("AlreadyBonded", NEWCOMER):
        committee.depositBond({"from": owner})


def test_a_vetoed_member_signs_again(bonded):
    world = bonded
    pair = [signatures(world, world.genesis, (2,), digest)[1] for digest in (HASH, OTHER)]
    challenger = world.challenger(accounts[6])
    proof = (2, world.genesis, HASH, pair[0], OTHER, pair[1])
    tx = world.prove(challenger, world.court.proveConsensuses, *proof)
    with refused("BadSignature", 2):
        anchor(world, 3600, (0, 1, 2))
    with world.as_timelock() as timelock:
        world.slasher.veto(tx.events["SlashQueued"]["id"], {"from": timelock})
    anchor(world, 3600, (0, 1, 2))


def test_a_former_member_waits_49_epochs_for_its_bond(bonded):
    world, committee, owner = bonded, bonded.committee, bonded.member_owners[3]
    with refused("BondLocked"):
        committee.withdrawBond({"from": owner})
    with world.as_timelock() as timelock:
        removed = committee.removeMember(3, {"from": timelock})
    until = removed.events["MemberRemoved"]["activeUntil"]
    assert until == world.epochs.epochStart(7)
    anchor(world, 3600, (0, 1, 3))
    world.advance_to(until)
    assert (committee.size(), committee.quorum()) == (3, 2)
    with refused("BadSignature", 3):
        anchor(world, 7200, (0, 1, 3))

    unlocks_at = until + LOCK_EPOCHS * DAY
    world.advance_to(unlocks_at - 10)
    with refused("BondLocked", unlocks_at):
        committee.withdrawBond({"from": owner})
    world.advance_to(unlocks_at)
    committee.withdrawBond({"from": owner})
    assert world.token.balanceOf(owner) == BOND
    with refused("NotBonded", 3):
        committee.withdrawBond({"from": owner})


def test_one_member_cannot_sign_for_three(bonded):
    digest = bonded.committee.consensusDigest(3600, HASH)
    _, own = signatures(bonded, 3600, (0,))
    with refused("BadSignature", 1):
        bonded.committee.checkQuorum(digest, 0b111, own * 3)
    with refused("BadQuorum", 1, 3):
        bonded.committee.checkQuorum(digest, 0b001, own)
    elsewhere = bonded.quorum_signatures(
        bonded.oracle, "Consensus", CONSENSUS, (3600, HASH), (0, 1, 2)
    )
    with refused("BadSignature", 0):
        bonded.committee.checkQuorum(digest, *elsewhere)
