"""What becomes of a consensus when several sources are asked at once."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

from node.client.network.bootstrap import Bootstrap


class Sources:
    """Two nodes; the second one answers while the first one's document is being taken."""

    def __init__(self):
        self.taken = asyncio.Event()

    @asynccontextmanager
    async def dialled(self, address, _name):
        yield address

    async def late(self):
        await self.taken.wait()


class Race(Bootstrap):
    """A bootstrap whose sources are coroutines."""

    async def _ask_node(self, stage, address):
        await address(self, stage)


async def test_the_consensus_of_the_faster_source_is_saved_though_the_other_ends_too():
    saved, sources = [], Sources()
    view = SimpleNamespace(held=None)
    keeping = SimpleNamespace(store=lambda _view, signed: saved.append(signed))

    async def faster(bootstrap, _stage):
        view.held = bootstrap._unsaved = "consensus"
        sources.taken.set()
        await asyncio.sleep(60)

    async def slower(_bootstrap, _stage):
        await sources.late()

    race = Race(view, sources, (faster, slower), lambda: 0.0, keeping)
    async with asyncio.timeout(10):
        await race._ask_stages(lambda: view.held is not None)
    assert saved == ["consensus"]
    assert race.problem == ""
