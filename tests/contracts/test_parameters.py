"""Bounded parameters and their hash."""

from brownie import accounts
from eth_abi import encode
from eth_utils import keccak
from world import deployment, now, refused

KEY = deployment.parameter_key("alpha_ppm")


def expected_hash(world):
    keys = [deployment.parameter_key(name) for name in world.parameter_names]
    return keccak(encode(["bytes32[]", "uint256[]"], [keys, list(world.parameters.values())]))


def test_all_parameters_stand_in_declared_order(world):
    keys = [bytes(key) for key in world.parameters.keys()]
    assert keys == [deployment.parameter_key(name) for name in world.parameter_names]
    values = deployment.profile_parameters("main")
    assert list(world.parameters.values()) == [value for value, _, _ in values.values()]
    assert bytes(world.parameters.paramsHash()) == expected_hash(world)
    assert tuple(world.parameters.bounds(KEY)) == values["alpha_ppm"][1:]


def test_set_keeps_history_and_hash(world):
    before = now()
    world.advance(100)
    with world.as_timelock() as timelock:
        world.parameters.set(KEY, 500_000, {"from": timelock})
    changed = now()
    world.advance(100)
    assert world.parameters.get(KEY) == 500_000 == world.parameters.getPast(KEY, changed)
    assert world.parameters.getPast(KEY, before) == 300_000
    assert bytes(world.parameters.paramsHash()) == expected_hash(world)
    with refused("FutureLookup"):
        world.parameters.getPast(KEY, now() + 1000)


def test_the_hash_is_recorded_once_by_who_needs_it(world):
    with world.as_timelock() as timelock:
        world.parameters.set(KEY, 500_000, {"from": timelock})
    expected = expected_hash(world)
    world.advance_to(world.genesis)
    started = world.epochs.startEpoch(0, world.reveals[0], {"from": accounts[9]})
    assert bytes(started.events["HashRecorded"]["paramsHash"]) == expected
    assert bytes(world.epochs.epochInfo(0)[0]) == expected
    again = world.parameters.recordHash({"from": accounts[9]})
    assert "HashRecorded" not in again.events


def test_only_the_owner_sets_within_bounds(world):
    with refused("NotOwner", accounts[9].address, world.timelock.address):
        world.parameters.set(KEY, 1, {"from": accounts[9]})
    unknown = deployment.parameter_key("no_such_thing")
    with world.as_timelock() as timelock:
        with refused("OutOfBounds"):
            world.parameters.set(KEY, 10**6 + 1, {"from": timelock})
        with refused("UnknownParameter"):
            world.parameters.set(unknown, 1, {"from": timelock})
        pinned = deployment.parameter_key("slot_s")
        with refused("OutOfBounds"):
            world.parameters.set(pinned, 1800, {"from": timelock})
    with refused("UnknownParameter"):
        world.parameters.get(unknown)
