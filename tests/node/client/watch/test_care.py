"""What a client does when its machine sleeps, moves or loses its way out."""

import time
from types import SimpleNamespace

import pytest

from node.client.paths.dialler import Attempt, Dialler
from node.client.watch.care import CUT_OFF_NODES, NO_ROUTE_S, STRANDED_S, Care
from node.client.watch.conditions import Clocks
from node.client.watch.stages import StageState
from node.errors import BootstrapError, CircuitError, Heard, LinkError, Stage, StageError
from node.htx.events import CloseReason

HOME, AWAY = "192.0.2.10", "198.51.100.20"
ENTRY = "203.0.113.1"


class Link:
    """An entry link and the circuit on it."""

    def __init__(self, world, own=HOME):
        self.world = world
        self.link = SimpleNamespace(own_address=own, peer_address=ENTRY)
        self.is_open = True
        self.causes = []

    def abandon(self, cause):
        self.causes.append(cause)
        self.is_open = False
        self.world.care.entries.links.clear()
        self.world.care.circuits.open.clear()


class World:
    """A machine whose clocks, address and network a test moves."""

    def __init__(self):
        self.now, self.boot, self.wall = 100.0, 500.0, 1e9
        self.address = HOME
        self.renewals = self.pardons = 0
        self.is_fit = True
        self.stranded = False
        clocks = Clocks(lambda: self.now, lambda: self.boot, lambda: self.wall, 1.0)
        entries = SimpleNamespace(
            links={},
            is_cut_off=False,
            is_stranded=False,
            forgive=self.forgive,
            state=SimpleNamespace(guards=()),
        )
        self.care = Care(
            SimpleNamespace(held=None, for_circuits=self.for_circuits),
            entries,
            SimpleNamespace(open=[], problem=""),
            SimpleNamespace(
                problem="nobody answered",
                seeds=[SimpleNamespace(host=ENTRY), SimpleNamespace(host="a.name.example")],
                bridges=[SimpleNamespace(host="2001:db8::1")],
            ),
            Dialler(lambda: self.now, lambda: self.wall),
            clocks,
            self.renew,
            lambda _: self.address,
        )

    def forgive(self):
        self.pardons += 1

    def renew(self):
        self.renewals += 1

    def for_circuits(self):
        if not self.is_fit:
            raise StageError(Stage.CONSENSUS, "no consensus is known")

    def connect(self):
        link = Link(self, self.address)
        self.care.entries.links[b"entry"] = link
        self.care.circuits.open.append(SimpleNamespace(circuit=SimpleNamespace(is_open=True)))
        return link

    def pass_(self, seconds=1.0, *, slept=0.0, set_by=0.0):
        self.now += seconds
        self.boot += seconds + slept
        self.wall += seconds + slept + set_by
        self.care.look()

    def fail(self, count, **error):
        for number in range(count):
            fault = LinkError(
                error.get("reason", CloseReason.TIMEOUT),
                "no link",
                heard=error.get("heard", Heard.NOTHING),
            )
            self.care.dialler.attempts.append(
                Attempt(
                    self.now, self.wall, f"192.0.2.{number}", 443, fault, error.get("told", 0.0)
                )
            )

    def state(self, stage):
        return self.care.progress.state(stage)


@pytest.fixture
def world():
    made = World()
    made.care.look()
    return made


def test_all_stages_pass_on_a_quiet_day(world):
    link = world.connect()
    for _ in range(3):
        world.pass_()
    assert link.causes == []
    assert {row["state"] for row in world.care.progress.rows()} == {"passed"}
    assert not world.care.incidents


@pytest.mark.parametrize("move", [{"slept": 600.0}, {"seconds": 601.0}], ids=["slept", "stopped"])
def test_sleep_cuts_links_and_asks_for_a_consensus(world, move):
    link = world.connect()
    world.pass_(**move)
    assert len(link.causes) == 1
    assert "for about 10 min" in link.causes[0]
    assert world.renewals == 1
    (incident,) = world.care.incidents
    assert incident.stage is Stage.SUSPEND
    assert incident.recovered_s is None
    world.pass_()
    world.connect()
    world.pass_()
    assert incident.recovered_s == pytest.approx(2.0)


def test_an_incident_is_an_event_without_a_path(world):
    world.pass_(slept=600.0)
    event = world.care.incidents[0].as_event()
    assert event["what"] == "suspend"
    assert event["path"] == ()
    assert "about 10 min" in event["cause"]


def test_a_short_pause_cuts_nothing(world):
    link = world.connect()
    world.pass_(5.0)
    world.pass_(1.0, slept=2.0)
    assert link.causes == []


def test_a_clock_that_is_set_renews_and_cuts_nothing(world):
    link = world.connect()
    world.pass_(set_by=-7200.0)
    assert link.causes == []
    assert world.renewals == 1
    assert world.care.incidents[0].cause == "the clock was set back by about 2 h 0 min"


def test_a_new_address_cuts_links_at_once(world):
    link = world.connect()
    world.address = AWAY
    world.pass_(0.1)
    assert link.causes == ["this machine's address changed"]
    assert world.care.incidents[0].stage is Stage.ADDRESS
    assert world.renewals == 1
    again = world.connect()
    world.pass_()
    assert again.causes == []
    assert world.care.incidents[0].recovered_s == pytest.approx(1.0)


def test_an_address_that_comes_back_keeps_its_links(world):
    link = world.connect()
    world.address = ""
    world.pass_(NO_ROUTE_S - 0.5)
    world.address = HOME
    world.pass_(0.1)
    assert link.causes == []


def test_without_a_route_links_are_cut_and_guards_kept(world):
    link = world.connect()
    world.address = ""
    world.pass_(0.1)
    assert world.care.entries.is_cut_off
    assert world.state(Stage.ADDRESS) is StageState.FAILED
    world.pass_(NO_ROUTE_S)
    assert link.causes == ["this machine has no route to the network"]
    world.address = AWAY
    world.pass_()
    assert world.renewals == 1
    assert world.pardons == 1
    assert not world.care.entries.is_cut_off


def test_guards_are_kept_while_nobody_at_all_answers(world):
    world.fail(CUT_OFF_NODES - 1)
    world.pass_(0.1)
    assert not world.care.entries.is_cut_off
    world.fail(CUT_OFF_NODES)
    world.pass_(0.1)
    assert world.care.entries.is_cut_off
    assert world.state(Stage.PORTAL) is StageState.FAILED
    world.pass_(61)
    assert not world.care.entries.is_cut_off


def test_stranded_entries_are_tried_again(world):
    world.care.entries.is_stranded = True
    before = world.pardons
    for _ in range(3 * STRANDED_S):
        world.pass_()
    assert world.pardons - before == 3
    world.connect()
    for _ in range(3 * STRANDED_S):
        world.pass_()
    assert world.pardons - before == 3


FAILURE = BootstrapError(Stage.SEED, "no consensus could be fetched", why="seed 1: refused")


def test_a_failed_start_is_explained_by_a_portal(world):
    world.is_fit = False
    world.fail(2, reason=CloseReason.LOST, heard=Heard.GARBLED)
    error = world.care.explain(FAILURE)
    assert error.stage is Stage.PORTAL
    assert error.message == "portal: something answers in place of the network"
    assert "2 of 2 nodes tried" in error.why
    assert "seed 1: refused" in error.why
    assert any("Wi-Fi" in step for step in error.try_)


def test_a_failed_start_is_explained_by_a_silent_network_under_its_own_stage(world):
    world.is_fit = False
    world.fail(2)
    error = world.care.explain(FAILURE)
    assert error.stage is Stage.SEED
    assert error.message == FAILURE.message
    assert error.why.startswith("nothing answers")


def test_a_failed_start_is_explained_by_the_clock(world):
    world.is_fit = False
    world.fail(2, reason=CloseReason.NOT_ADMITTED, heard=Heard.TLS, told=world.wall + 5 * 3600)
    error = world.care.explain(FAILURE)
    assert error.stage is Stage.CLOCK
    assert "about 5 h 0 min behind: 2 nodes say so over TLS with their pinned keys" in error.why


def test_a_failed_start_without_an_address(world):
    world.is_fit = False
    world.address = ""
    world.pass_(0.1)
    assert world.care.explain(FAILURE).stage is Stage.ADDRESS


def test_an_unexplained_failure_stays_as_it_is(world):
    world.is_fit = False
    assert world.care.explain(FAILURE) is FAILURE


def test_a_portal_in_a_running_client_is_an_incident(world):
    world.fail(2, reason=CloseReason.PIN, heard=Heard.TLS)
    world.pass_(0.1)
    world.pass_(0.1)
    (incident,) = world.care.incidents
    assert incident.stage is Stage.PORTAL
    assert incident.at == pytest.approx(1e9, abs=5)


def test_the_real_clocks_agree():
    clocks = Clocks(time.monotonic, time.monotonic, time.time, 1.0)
    assert clocks.look() == clocks.look() == []


def test_circuits_that_fail_behind_a_portal_are_explained_by_it(world):
    world.fail(2, reason=CloseReason.PIN, heard=Heard.TLS)
    failure = CircuitError(Stage.CIRCUIT, "no circuit could be built", why="no link")
    assert world.care.explain(failure).stage is Stage.PORTAL


def test_circuits_that_fail_in_a_silent_network_keep_their_stage(world):
    world.fail(2)
    failure = CircuitError(Stage.CIRCUIT, "no circuit could be built", why="no link")
    error = world.care.explain(failure)
    assert isinstance(error, CircuitError)
    assert error.message == "circuit: no circuit could be built"
    assert error.why.startswith("nothing answers")
