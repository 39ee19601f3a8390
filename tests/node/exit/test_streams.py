"""Streams of the exit that end before their connection stands."""

import asyncio

import pytest

from node.circuit.actions import EndStream, OpenStream, ResolveName
from node.circuit.messages import EndReason
from node.exit.streams import ExitStreams


class Silent:
    """Destinations and name servers that never answer."""

    def __init__(self):
        self.waiting = 0

    async def connect(self, _host, _port, _protocol):
        await self.resolve("")

    async def resolve(self, _host):
        self.waiting += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.waiting -= 1


@pytest.mark.parametrize(
    "action", [OpenStream(1, 1, "a.example", 80), ResolveName(1, 1, "a.example")]
)
async def test_what_is_no_longer_wanted_is_given_up_at_once(action):
    """Else BEGIN and END in turn would hold any number of sockets until they time out."""
    connector = Silent()
    async with asyncio.TaskGroup() as group:
        exits = ExitStreams(
            core=None,
            connector=connector,
            spawn=group.create_task,
            wake=lambda: None,
            carry_out=lambda _actions: None,
            now=lambda: 0.0,
        )
        getattr(exits, "open" if isinstance(action, OpenStream) else "resolve")(action)
        await asyncio.sleep(0)
        assert connector.waiting == 1
        exits.end(EndStream(1, 1, EndReason.DONE))
        await asyncio.sleep(0)
        assert connector.waiting == 1
        exits.end(EndStream(1, 1, EndReason.RESET))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert connector.waiting == 0
        assert not exits._work
    assert len(exits) == 0
