"""Versions of the protocol, published by the owner."""

from brownie import accounts
from world import bytes32, refused

SPEC, ARTIFACT = bytes32("spec"), bytes32("artifact")


def test_minimum_version_by_epoch(world):
    with world.as_timelock() as timelock:
        sender = {"from": timelock}
        world.versions.publish("0.1.0", SPEC, ARTIFACT, True, 5, sender)
        world.versions.publish("0.2.0", SPEC, ARTIFACT, False, 6, sender)
        world.versions.publish("0.3.0", SPEC, ARTIFACT, True, 9, sender)
    assert world.versions.count() == 3
    found = [world.versions.minimumVersion(epoch) for epoch in (4, 5, 8, 9, 100)]
    assert found == ["", "0.1.0", "0.1.0", "0.3.0", "0.3.0"]
    assert world.versions.versions(1)[0] == "0.2.0"


def test_only_the_owner_publishes(world):
    with refused("NotOwner"):
        world.versions.publish("0.1.0", SPEC, ARTIFACT, True, 5, {"from": accounts[9]})


def test_bad_versions_are_refused(world):
    world.advance_to(world.epochs.epochStart(3))
    with world.as_timelock() as timelock:
        sender = {"from": timelock}
        with refused("ActivationTooEarly", 3, 4):
            world.versions.publish("0.1.0", SPEC, ARTIFACT, True, 3, sender)
        with refused("EmptyHash"):
            world.versions.publish("0.1.0", SPEC, bytes(32), True, 4, sender)
        for text in ("", "1" * 33):
            with refused("InvalidVersion"):
                world.versions.publish(text, SPEC, ARTIFACT, True, 4, sender)
        world.versions.publish("0.1.0", SPEC, ARTIFACT, True, 9, sender)
        with refused("InvalidVersion", "0.1.0"):
            world.versions.publish("0.1.0", SPEC, ARTIFACT, True, 10, sender)
        with refused("ActivationTooEarly", 8, 9):
            world.versions.publish("0.2.0", SPEC, ARTIFACT, True, 8, sender)
