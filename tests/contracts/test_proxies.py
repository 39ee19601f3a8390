"""Proxies are set up once and upgraded by the timelock alone."""

import pytest
from brownie import Contract, accounts, web3
from eth_utils import keccak
from world import QNET, deployment, refused

IMPLEMENTATION_SLOT = 0x360894A13BA1A3210667C828492DB98DCA3E2076CC3735A920A3CA505D382BBC


def implementation_of(contract):
    word = web3.eth.get_storage_at(contract.address, IMPLEMENTATION_SLOT)
    return web3.to_checksum_address(bytes(word)[-20:])


@pytest.fixture(params=["registry", "hub", "oracle", "court"])
def proxy(request, world):
    return getattr(world, request.param)


@pytest.fixture(scope="module")
def used(world):
    """A node, part of its bond in a ticket, a challenge, and a report of epoch 0."""
    world.bond_committee()
    operator, challenger = world.operators[0], world.challenger(accounts[5])
    index = world.bonded_node(operator, "relay")
    world.court.open(b"\x01" * 32, {"from": challenger})
    world.advance(10)
    world.hub.unbond(index, QNET, {"from": operator})
    world.end_epoch(0)
    world.submit(world.report(0, world.honest_leaves(0)))
    return world


def facts(world):
    """Return some of what every proxy keeps."""
    operator = world.operators[0]
    return {
        "node": tuple(world.registry.node(1)),
        "bond": world.hub.bondOf(1),
        "votes": world.hub.getVotes(operator),
        "ticket": tuple(world.hub.ticketOf(operator, 0)),
        "report": world.oracle.lastReportHash(),
        "challenge": tuple(world.court.challengeOf(1)),
        "guardians": [part.guardian() for part in (world.hub, world.oracle, world.court)],
    }


def test_nobody_initialises_again(world, proxy):
    arguments = [accounts[9]] if proxy == world.registry else []
    with refused("InvalidInitialization"):
        proxy.initialize(*arguments, {"from": accounts[9]})
    naked = Contract.from_abi("implementation", implementation_of(proxy), proxy.abi)
    with refused("InvalidInitialization"):
        naked.initialize(*arguments, {"from": accounts[9]})


def test_only_the_timelock_upgrades(world, proxy):
    target = implementation_of(world.hub)
    with refused("NotOwner"):
        proxy.upgradeToAndCall(target, b"", {"from": accounts[9]})


@pytest.mark.parametrize("name", ["NodeRegistry", "StakeHub", "ReportOracle", "DisputeCourt"])
def test_upgrade_keeps_state(used, name):
    compiled = deployment.artifact(name)
    factory = web3.eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"])
    found = deployment.creations(
        used.plan, lambda place: used.contracts.get(place, used.timelock).address
    )
    data = factory.constructor(*dict(found)[name]).data_in_transaction
    fresh = accounts[9].transfer(data=data, silent=True).contract_address
    proxy = used.contracts[name]
    before = facts(used)
    with used.as_timelock() as timelock:
        proxy.upgradeToAndCall(fresh, b"", {"from": timelock})
    assert implementation_of(proxy) == fresh
    assert facts(used) == before


def test_upgrade_to_something_else_is_refused(world):
    with world.as_timelock() as timelock, refused("ERC1967InvalidImplementation"):
        world.hub.upgradeToAndCall(world.token, b"", {"from": timelock})


def test_every_link_leads_where_it_should(world):
    assert world.epochs.registry() == world.registry == world.hub.registry()
    assert world.epochs.oracle() == world.oracle == world.hub.oracle()
    assert world.epochs.vault() == world.vault == world.hub.vault() == world.governor.vault()
    assert world.registry.hub() == world.hub == world.vault.hub() == world.governor.hub()
    assert world.vault.epochs() == world.epochs == world.oracle.epochs()
    assert world.oracle.committee() == world.committee
    assert world.governor.timelock() == world.timelock
    for name in ("registry", "hub", "committee", "court"):
        assert getattr(world, name).slasher() == world.slasher, name
    for name in ("hub", "oracle", "slasher"):
        assert getattr(world, name).court() == world.court, name
    assert world.slasher.vault() == world.vault
    pausable = ["hub", "oracle", "court", "slasher"]
    for name in ("parameters", "epochs", "committee", "registry", "versions", *pausable):
        assert getattr(world, name).owner() == world.timelock, name
    for name in pausable:
        assert getattr(world, name).guardian() == world.timelock, name
    assert world.slasher.vetoer() == world.timelock


def test_the_judge_looks_where_the_court_does(world):
    compiled = deployment.artifact("ReportJudge")
    judge = Contract.from_abi("ReportJudge", world.court.judge(), compiled["abi"])
    for name in ("parameters", "epochs", "registry", "hub", "oracle"):
        assert getattr(judge, name)() == getattr(world.court, name)() == getattr(world, name), name


def test_storage_stands_at_its_erc7201_namespace(used):
    world = used
    owner = int(world.timelock.address, 16)
    places = [
        (world.registry, "qnet.NodeRegistry", 5, 0xFFFFFFFF, 1),  # nodes registered
        (world.hub, "qnet.StakeHub", 7, 2**256 - 1, 100_000 * QNET - QNET),  # votes
        (world.hub, "qnet.Pausing", 0, 2**160 - 1, owner),  # guardian
        (world.oracle, "qnet.ReportOracle", 1, 0xFFFFFFFF, 1),  # epoch to report next
        (world.oracle, "qnet.Pausing", 0, 2**160 - 1, owner),
        (world.court, "qnet.DisputeCourt", 0, 2**256 - 1, 1),  # challenges
        (world.court, "qnet.Pausing", 0, 2**160 - 1, owner),
    ]
    for contract, namespace, offset, mask, expected in places:
        word = int.from_bytes(keccak(text=namespace), "big") - 1
        base = int.from_bytes(keccak(word.to_bytes(32, "big")), "big") & ~0xFF
        stored = int.from_bytes(web3.eth.get_storage_at(contract.address, base + offset), "big")
        assert stored & mask == expected, namespace
