"""Nodes that keep to no rule, as processes of their own, in every position of a client's path."""

import asyncio
import signal
import time
from dataclasses import dataclass

import pytest
import pytest_asyncio

from node.circuit.upkeep import ANSWER_GRACE_S
from node.client.paths.circuits import BUILD_PATIENCE_S
from node.client.paths.liveness import ANSWER_S, QUIET_S
from node.directory.wishes import Position, Wishes
from node.errors import StageError
from node.io.control import call
from qnet.errors import QnetError
from tests.support.network import client, eventually, file_server, held, through
from tools.bench.hostile import Behaviour, misdeeds, tell
from tools.bench.network import local_network

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.e2e]

ROLES = ("entry", "entry", "relay", "relay", "exit", "exit")
HOSTILE = {Position.ENTRY: 1, Position.MIDDLE: 3, Position.EXIT: 5}
SPOILT_S = 10.0
"""A cell that was changed, lost, repeated or moved is noticed with the next one that comes, within
milliseconds; but the machine may be busy with other things."""
SILENT_S = 1 + QUIET_S + ANSWER_S + 1
"""Silence: a tick, the quiet, the echo's time, a tick."""
JUNK_S = 30.0
"""Time in which 32,768 cells for nobody come, and 1,024 a second are forgiven."""
RECOVERED_S = 2 * BUILD_PATIENCE_S + 4
AFTER = 300
"""Cells that pass before the misdeeds begin: in the midst of a download."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world():
    async with (
        held(local_network(ROLES, policy="accept *:*", hostile=HOSTILE.values())) as network,
        file_server(8 << 20) as files,
    ):
        yield network, files


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def peace(world):
    yield
    network, _ = world
    for index in HOSTILE.values():
        node = network.nodes[index - 1]
        try:
            await tell(node.home, Behaviour.NONE, timeout_s=2.0)
        except QnetError:
            await thaw(network, node)


async def thaw(network, node):
    """Start a frozen node anew; its new keys are in the next consensus."""
    await node.stop(number=signal.SIGKILL)
    await node.start()
    before = network.committee.latest.consensus.valid_after
    await eventually(lambda: network.committee.latest.consensus.valid_after > before, 25.0)


@dataclass
class Attack:
    """What became of a download through a hostile node.

    Attributes:
        took_s: From the start of the download to its end.
        body: What arrived; None if it ended with an error.
        cause: What the client says about the circuit.
        misdeeds: Rules the node broke meanwhile.
    """

    took_s: float
    body: bytes | None
    cause: str
    misdeeds: int


async def circuit_over(session, position):
    """An unbound circuit with one hostile node, at this position."""
    index = HOSTILE[position]
    others = frozenset(HOSTILE.values()) - {index}
    wishes = Wishes(pinned={position: index}, excluded=others)
    async with asyncio.timeout(40):
        while True:
            try:
                made = await session.circuits.build(wishes)
                break
            except StageError:  # just restarted: its keys are in the next consensus
                await asyncio.sleep(0.5)
    assert [node.index for node in made.path.nodes].count(index) == 1
    return made


async def fetch(session, files):
    async with through(session, "127.0.0.1", files.port) as (reader, writer):
        writer.write(b"GET ")
        return await reader.read(-1)


async def attack(session, network, files, position, behaviour, **how):
    """Download through a node that begins to misbehave on the way."""
    home = network.nodes[HOSTILE[position] - 1].home
    before = await misdeeds(home)
    made = await circuit_over(session, position)
    await tell(home, behaviour, **how)
    began = time.monotonic()
    try:
        async with asyncio.timeout(30):
            body = await fetch(session, files)
    except ConnectionResetError:
        body = None
    took_s = time.monotonic() - began
    return Attack(took_s, body, made.circuit.failure, await misdeeds(home) - before)


async def carries_on(session, files, *, resets=0):
    """Seconds for three downloads; a hostile entry may break one more circuit before it goes."""
    began = time.monotonic()
    whole = 0
    while whole < 3:
        try:
            assert await fetch(session, files) == files.body
            whole += 1
        except ConnectionResetError:
            resets -= 1
            assert resets >= 0, "a node that was found out broke another download"
    return time.monotonic() - began


def avoided(session):
    return session.circuits.suspicion.exclusions(session.circuits.now())[0]


def table(*quick):
    """All behaviours at all positions; those not named only in long runs."""
    return [
        pytest.param(
            behaviour,
            position,
            marks=() if (behaviour, position) in quick else pytest.mark.long,
            id=f"{position}-{behaviour}",
        )
        for behaviour in (
            Behaviour.DROP,
            Behaviour.REORDER,
            Behaviour.DUPLICATE,
            Behaviour.FLIP,
            Behaviour.FLOOD,
        )
        for position in Position
    ]


@pytest.mark.parametrize(
    ("behaviour", "position"),
    table(
        (Behaviour.DROP, Position.EXIT),
        (Behaviour.REORDER, Position.MIDDLE),
        (Behaviour.DUPLICATE, Position.MIDDLE),
        (Behaviour.FLIP, Position.ENTRY),
        (Behaviour.FLOOD, Position.MIDDLE),
        (Behaviour.FLOOD, Position.ENTRY),
    ),
)
async def test_spoilt_cells_end_the_circuit_at_once_and_no_wrong_byte_arrives(
    world, behaviour, position
):
    network, files = world
    async with client(network.bundle(), ready=0) as session:
        done = await attack(session, network, files, position, behaviour, after=AFTER, share=0.1)
        assert done.misdeeds > 0
        assert done.body is None
        assert done.took_s < SPOILT_S
        assert "a cell did not verify" in done.cause
        is_entry = position is Position.ENTRY
        assert is_entry or HOSTILE[position] in avoided(session)
        assert await carries_on(session, files, resets=int(is_entry)) < RECOVERED_S


@pytest.mark.parametrize(
    ("behaviour", "position"),
    [
        pytest.param(
            behaviour,
            position,
            marks=() if quick else pytest.mark.long,
            id=f"{position}-{behaviour}",
        )
        for behaviour, position, quick in (
            (Behaviour.BLACKHOLE, Position.ENTRY, True),
            (Behaviour.BLACKHOLE, Position.MIDDLE, True),
            (Behaviour.BLACKHOLE, Position.EXIT, False),
            (Behaviour.DELAY, Position.ENTRY, False),
            (Behaviour.DELAY, Position.MIDDLE, False),
            (Behaviour.DELAY, Position.EXIT, False),
            (Behaviour.SLOW_CREDIT, Position.MIDDLE, False),
        )
    ],
)
async def test_silence_in_a_download_ends_it_in_time_and_names_a_hop(world, behaviour, position):
    network, files = world
    async with client(network.bundle(), ready=0) as session:
        done = await attack(session, network, files, position, behaviour, after=AFTER)
        assert done.misdeeds > 0
        assert done.body is None
        assert done.took_s < SILENT_S + SPOILT_S
        assert "did not answer in time when asked for an echo" in done.cause
        if position is not Position.ENTRY:
            assert HOSTILE[position] in avoided(session)
        assert await carries_on(session, files) < SILENT_S + RECOVERED_S


@pytest.mark.parametrize("position", list(Position))
@pytest.mark.parametrize("behaviour", [Behaviour.REFUSE, Behaviour.STALL])
async def test_nodes_that_take_no_circuits_are_left_for_others(world, behaviour, position):
    network, files = world
    home = network.nodes[HOSTILE[position] - 1].home
    async with client(network.bundle(), ready=0) as session:
        await tell(home, behaviour)
        before = await misdeeds(home)
        while await misdeeds(home) == before:
            async with asyncio.timeout(RECOVERED_S):
                made = await session.circuits.build(Wishes())
            made.circuit.destroy()
        async with asyncio.timeout(RECOVERED_S):
            assert await fetch(session, files) == files.body
        causes = [event.cause for event in session.circuits.events]
        assert any("refused" in c or "destroyed" in c or "not built" in c for c in causes), causes


async def test_a_frozen_node_is_a_silent_one(world):
    network, files = world
    victim = network.nodes[HOSTILE[Position.EXIT] - 1]
    async with client(network.bundle(), ready=0) as session:
        await circuit_over(session, Position.EXIT)
        await tell(victim.home, Behaviour.FREEZE, after=AFTER)
        began = time.monotonic()
        with pytest.raises(ConnectionResetError):
            await fetch(session, files)
        assert time.monotonic() - began < SILENT_S + SPOILT_S
        assert await carries_on(session, files) < RECOVERED_S
        assert victim.index in avoided(session)


async def test_an_exit_that_never_answers_is_left_and_the_request_served_by_another(world):
    network, files = world
    victim = network.nodes[HOSTILE[Position.EXIT] - 1]
    async with client(network.bundle(), ready=0) as session:
        made = await circuit_over(session, Position.EXIT)
        await tell(victim.home, Behaviour.MUTE)
        began = time.monotonic()
        # the application's own patience is longer than the client's
        async with through(session, "127.0.0.1", files.port, timeout_s=60) as (reader, writer):
            writer.write(b"GET ")
            assert await reader.read(-1) == files.body
        owed_s = session.connect_timeout_s + ANSWER_GRACE_S
        assert owed_s < time.monotonic() - began < owed_s + 2 + RECOVERED_S
        assert "third hop: did not answer in time" in made.circuit.failure
        assert victim.index in avoided(session)


@pytest.mark.parametrize("position", [Position.ENTRY, Position.MIDDLE])
async def test_cells_for_nobody_without_end_cost_the_sender_its_link(world, position):
    network, files = world
    victim = network.nodes[HOSTILE[position] - 1]
    honest = network.nodes[1]
    async with client(network.bundle(), ready=0) as session:
        made = await circuit_over(session, position)
        assert await fetch(session, files) == files.body
        await tell(victim.home, Behaviour.JUNK)
        await eventually(lambda: made.circuit.closed, JUNK_S)
        await tell(victim.home, Behaviour.NONE)
        if position is Position.ENTRY:
            # it floods both its neighbours: we notice, or it passes on that the other one did
            told = ("broke a rule of the link", "its link from the hop before it broke")
            assert any(words in made.circuit.failure for words in told)
        else:
            assert "its link from the hop before it broke" in made.circuit.failure
            status = await call(honest.home / "control.sock", "status")
            assert status["cells"]["queued"] == 0
        assert await carries_on(session, files, resets=1) < RECOVERED_S


async def test_an_early_end_of_an_exit_is_an_end(world):
    """Nobody but the exit knows what the destination said; only end-to-end checks find this."""
    network, files = world
    async with client(network.bundle(), ready=0) as session:
        done = await attack(session, network, files, Position.EXIT, Behaviour.TRUNCATE)
        assert done.body is not None
        assert len(done.body) < len(files.body)
        assert files.body.startswith(done.body)
