import asyncio
from types import SimpleNamespace

import pytest

from node.client.command.commands import Commands
from node.errors import ControlError, NodeConfigError

EXITS = [{"index": 1, "country": "CH"}, {"index": 2, "country": ""}]


def commands(raw_addresses=0, *, knows_countries=True):
    choice = SimpleNamespace(atlas=SimpleNamespace(knows_countries=knows_countries))
    session = SimpleNamespace(
        circuits=SimpleNamespace(
            rows=list,
            exits=lambda port: EXITS if port == 443 else [],
            choice=choice,
        ),
        mix=None,
        new_identity=lambda: 4,
        counts=SimpleNamespace(raw_addresses=raw_addresses),
        bootstrap=SimpleNamespace(warnings=list),
        doors=SimpleNamespace(rows=list, warnings=lambda: ["w"]),
        status=lambda: {"state": "up"},
        anonymity=lambda: {"users": 1},
    )
    stop = asyncio.Event()
    return Commands(session, stop), stop


async def test_exits_of_a_country():
    made, _ = commands()
    found = await made.exits({"port": 443, "country": "CH"})
    assert found["exits"] == EXITS[:1]
    assert found["users"] == 1
    assert len((await made.exits({"port": 443}))["exits"]) == 2


async def test_without_a_table_no_country_can_be_asked_for():
    made, _ = commands(knows_countries=False)
    with pytest.raises(NodeConfigError, match="no country"):
        await made.exits({"port": 443, "country": "CH"})
    assert len((await made.exits({"port": 443}))["exits"]) == 2


@pytest.mark.parametrize("port", [None, "443", -1, True, 1.5])
async def test_arguments_are_checked(port):
    made, _ = commands()
    with pytest.raises(ControlError, match="natural number"):
        await made.exits({"port": port})


async def test_status_warns_about_programs_that_resolve_names_themselves():
    assert (await commands()[0].status({}))["warnings"] == ["w"]
    warnings = (await commands(raw_addresses=3)[0].status({}))["warnings"]
    assert "3 requests named an address" in warnings[1]


async def test_down_stops_and_new_retires():
    made, stop = commands()
    assert await made.new({}) == {"retired": 4}
    await made.down({})
    assert stop.is_set()
