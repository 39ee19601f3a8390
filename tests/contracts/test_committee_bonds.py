"""Members put down their bonds; only bonded ones count; the quorum follows the size."""

import pytest
from brownie import accounts
from world import CONSENSUS, QNET, World, bytes32, refused

BOND = 1_000_000 * QNET
HASH = bytes32("consensus")


def anchor(world, valid_after, members):
    bitmap, signed = world.quorum_signatures(
        world.committee, "Consensus", CONSENSUS, (valid_after, HASH), members
    )
    return world.committee.anchor(valid_after, HASH, bitmap, signed, {"from": accounts[9]})


def test_members_put_down_their_bonds(world):
    assert (world.committee.size(), world.committee.quorum()) == (4, 3)
    signer = world.signers[0].address
    assert not world.committee.isMember(signer)
    world.bond_committee([world.member_owners[0]])
    assert world.committee.isMember(signer)
    assert world.committee.bondOf(0) == BOND == world.token.balanceOf(world.committee)
    with refused("AlreadyBonded", 0):
        world.committee.depositBond({"from": world.member_owners[0]})
    with refused("NotMember"):
        world.committee.depositBond({"from": accounts[9]})
    owner, key, url, is_bonded, is_active, since, until = world.committee.members()[0]
    assert (owner, key, url) == (world.member_owners[0], signer, "http://member-0.example")
    assert (is_bonded, is_active, until) == (True, True, 0)
    assert since < world.genesis


def test_unbonded_member_does_not_count(world):
    world.bond_committee(world.member_owners[:2])
    with refused("BadSignature", 2):
        anchor(world, 3600, (0, 1, 2))
    with refused("BadQuorum", 2, 3):
        anchor(world, 3600, (0, 1))


@pytest.mark.parametrize(("members", "quorum"), [(1, 1), (5, 4), (7, 5), (16, 11)])
def test_quorum_by_size(module_isolation, members, quorum):
    world = World(members=members)
    assert world.committee.quorum() == quorum
    world.bond_committee()
    anchor(world, 3600, tuple(range(quorum)))
