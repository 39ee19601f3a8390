"""Members bond; a quorum of them signs; forged, doubled and missing signatures are refused."""

import pytest
from brownie import accounts
from eth_account import Account
from world import CONSENSUS, DAY, QNET, bytes32, refused

BOND = 1_000_000 * QNET
HASH = bytes32("consensus")


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


def test_quorum_anchors_a_consensus_once(bonded):
    anchor(bonded, 3600, (0, 2, 3))
    assert bytes(bonded.committee.anchorOf(3600)) == HASH
    with refused("AlreadyAnchored"):
        anchor(bonded, 3600, (0, 1, 2, 3), bytes32("another"))
    with refused("EmptyHash"):
        anchor(bonded, 7200, (0, 1, 2), bytes(32))


def test_too_few_signatures(bonded):
    with refused("BadQuorum", 2, 3):
        anchor(bonded, 3600, (0, 1))
    with refused("BadQuorum", 0, 3):
        anchor(bonded, 3600, ())


def test_one_member_cannot_sign_twice(bonded):
    digest = bonded.committee.consensusDigest(3600, HASH)
    _, own = signatures(bonded, 3600, (0,))
    with refused("BadSignature", 1):
        bonded.committee.checkQuorum(digest, 0b111, own * 3)
    with refused("BadSignatureLength", 195, 65):
        bonded.committee.checkQuorum(digest, 0b001, own * 3)


def test_signatures_must_stand_in_order_and_in_full(bonded):
    digest = bonded.committee.consensusDigest(3600, HASH)
    bitmap, signed = signatures(bonded, 3600, (0, 1, 2))
    bonded.committee.checkQuorum(digest, bitmap, signed)
    with refused("BadSignature", 0):
        bonded.committee.checkQuorum(digest, bitmap, signed[65:130] + signed[:65] + signed[130:])
    with refused("BadSignatureLength", 194, 195):
        bonded.committee.checkQuorum(digest, bitmap, signed[:-1])
    with refused("BadSignatureLength", 196, 195):
        bonded.committee.checkQuorum(digest, bitmap, signed + b"\x00")
    with refused("BadSignature", 4):
        bonded.committee.checkQuorum(digest, bitmap | 1 << 4, signed)
    with refused("BadSignature", 4):
        bonded.committee.checkQuorum(digest, bitmap | 1 << 255, signed)


def test_forged_and_malleable_signatures(bonded):
    digest = bonded.committee.consensusDigest(3600, HASH)
    bitmap, signed = signatures(bonded, 3600, (0, 1, 2))
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    s = int.from_bytes(signed[32:64], "big")
    high = signed[:32] + (order - s).to_bytes(32, "big") + bytes([55 - signed[64]]) + signed[65:]
    flipped = bytes([signed[0] ^ 1]) + signed[1:]
    zeroed = bytes(65) + signed[65:]
    for forged in (high, flipped, zeroed):
        with refused("BadSignature", 0):
            bonded.committee.checkQuorum(digest, bitmap, forged)
    other_day = signatures(bonded, 7200, (0, 1, 2))
    with refused("BadSignature", 0):
        bonded.committee.checkQuorum(digest, *other_day)


def test_signature_for_another_contract_is_worth_nothing(bonded):
    digest = bonded.committee.consensusDigest(3600, HASH)
    elsewhere = bonded.quorum_signatures(
        bonded.oracle, "Consensus", CONSENSUS, (3600, HASH), (0, 1, 2)
    )
    with refused("BadSignature", 0):
        bonded.committee.checkQuorum(digest, *elsewhere)


def test_members_change_with_the_next_issuance_epoch(bonded):
    committee = bonded.committee
    newcomer, key = accounts.add(), Account.create()
    bonded.signers.append(key)
    boundary = committee.nextIssuanceEpochStart()
    assert boundary == bonded.epochs.epochStart(7)
    with refused("NotOwner"):
        committee.addMember((newcomer, key.address, "http://new"), {"from": accounts[9]})
    with bonded.as_timelock() as timelock:
        committee.addMember((newcomer, key.address, "http://new"), {"from": timelock})
        committee.removeMember(0, {"from": timelock})
        with refused("NoSuchMember", 0):
            committee.removeMember(0, {"from": timelock})
        with refused("InvalidMember"):
            committee.addMember((newcomer, Account.create().address, ""), {"from": timelock})
        with refused("InvalidMember"):
            committee.addMember((accounts.add(), key.address, ""), {"from": timelock})
    bonded.bond_committee([newcomer])

    assert not committee.isMember(key.address), "the set is frozen until then"
    anchor(bonded, 3600, (0, 1, 2))
    with refused("BadSignature", 4):
        anchor(bonded, 7200, (1, 2, 4))

    bonded.advance_to(boundary)
    assert committee.isMember(key.address)
    assert (committee.size(), committee.quorum()) == (4, 3)
    anchor(bonded, 7200, (1, 2, 4))
    with refused("BadSignature", 0):
        anchor(bonded, 10_800, (0, 1, 2))


def test_bond_of_a_former_member_stays_locked(bonded):
    owner = bonded.member_owners[3]
    with refused("BondLocked"):
        bonded.committee.withdrawBond({"from": owner})
    until = bonded.committee.nextIssuanceEpochStart()
    with bonded.as_timelock() as timelock:
        bonded.committee.removeMember(3, {"from": timelock})
    unlocks_at = until + 49 * DAY
    bonded.advance_to(unlocks_at - 10)
    with refused("BondLocked", unlocks_at):
        bonded.committee.withdrawBond({"from": owner})
    bonded.advance_to(unlocks_at)
    bonded.committee.withdrawBond({"from": owner})
    assert bonded.token.balanceOf(owner) == BOND
    with refused("NotBonded", 3):
        bonded.committee.withdrawBond({"from": owner})


def test_last_member_stays(bonded):
    with bonded.as_timelock() as timelock:
        for index in range(3):
            bonded.committee.removeMember(index, {"from": timelock})
        with refused("LastMember"):
            bonded.committee.removeMember(3, {"from": timelock})
