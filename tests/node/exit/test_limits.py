import resource
from ipaddress import ip_address

import pytest

from node.errors import ExitLimitError
from node.exit import limits as module
from node.exit.limits import CONNECTIONS, ExitLimits, Tally, connections_allowed

HOST = ip_address("93.184.216.34")


def test_a_tally_refuses_and_counts_what_is_too_much():
    tally = Tally("full", 2)
    tally.take("a")
    tally.take("a")
    tally.take("b")
    with pytest.raises(ExitLimitError) as caught:
        tally.take("a")
    assert caught.value.cause == "full"
    assert (tally.count("a"), tally.count("b"), tally.refused) == (2, 1, 1)
    tally.give_back("a")
    tally.take("a")
    for key in ("a", "a", "b"):
        tally.give_back(key)
    assert len(tally) == 0
    with pytest.raises(KeyError):
        tally.give_back("a")


@pytest.mark.parametrize(
    ("cap", "cause", "take", "release"),
    [
        ("CONNECTIONS_PER_CIRCUIT", "circuit_full", "hold", "let_go"),
        ("OPENING", "openings_full", "start", "started"),
        ("OPENING_PER_CIRCUIT", "circuit_opening_full", "start", "started"),
    ],
)
def test_caps_of_circuits_and_of_all_together(monkeypatch, cap, cause, take, release):
    monkeypatch.setattr(module, cap, 3)
    limits = ExitLimits()
    for _ in range(3):
        getattr(limits, take)(1)
    with pytest.raises(ExitLimitError) as caught:
        getattr(limits, take)(1)
    assert caught.value.cause == cause
    assert limits.refusals()[cause] == 1
    for _ in range(3):
        getattr(limits, release)(1)
    getattr(limits, take)(1)
    assert sum(limits.refusals().values()) == 1


def test_a_refusal_by_one_cap_takes_nothing_from_another(monkeypatch):
    monkeypatch.setattr(module, "connections_allowed", lambda: 1)
    monkeypatch.setattr(module, "OPENING", 1)
    limits = ExitLimits()
    limits.hold(1)
    limits.start(1)
    for circuit in (1, 2):
        with pytest.raises(ExitLimitError, match="limit"):
            limits.hold(circuit)
        with pytest.raises(ExitLimitError, match="limit"):
            limits.start(circuit)
    limits.let_go(1)
    limits.started(1)
    limits.hold(2)
    limits.start(2)
    assert limits.held() == {"connections": 1, "destinations": 0, "opening": 1}
    assert limits.refusals()["connections_full"] == limits.refusals()["openings_full"] == 2


def test_a_destination_is_an_address_with_its_port(monkeypatch):
    monkeypatch.setattr(module, "CONNECTIONS_PER_DESTINATION", 1)
    limits = ExitLimits()
    limits.reach(HOST, 80)
    limits.reach(HOST, 443)
    with pytest.raises(ExitLimitError) as caught:
        limits.reach(HOST, 80)
    assert caught.value.cause == "destination_full"
    limits.leave(HOST, 80)
    limits.reach(HOST, 80)
    assert limits.held()["destinations"] == 2


@pytest.mark.parametrize(
    ("files", "allowed"), [(1024, 512), (10**6, CONNECTIONS), (resource.RLIM_INFINITY, CONNECTIONS)]
)
def test_half_of_the_files_stay_for_everything_else(monkeypatch, files, allowed):
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (files, files))
    assert connections_allowed() == allowed
