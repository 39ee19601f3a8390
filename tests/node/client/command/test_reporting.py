import asyncio
from types import SimpleNamespace

import pytest

from node.client.command import reporting
from node.client.command.reporting import announce_stage, print_stage, telling_stages


class Session:
    """Stages that the test moves."""

    def __init__(self):
        self.rows = [{"stage": "clock", "state": "failed", "cause": "nothing yet"}]
        self.doors = SimpleNamespace(rows=lambda: [{"kind": "socks", "listen": "h:1"}])

    def stages(self):
        return [dict(row) for row in self.rows]


async def test_each_change_is_told_once_and_the_ports_at_the_end(monkeypatch):
    monkeypatch.setattr(reporting, "LOOK_S", 0.001)
    session, told = Session(), []
    async with telling_stages(session, told.append):
        await asyncio.sleep(0.02)
        assert told == []
        session.rows[0] |= {"state": "passed", "cause": ""}
        await asyncio.sleep(0.02)
    assert [(row["stage"], row["state"], row["cause"]) for row in told] == [
        ("clock", "passed", ""),
        ("ports", "passed", "socks h:1"),
    ]


async def test_a_failure_that_lasts_is_told(monkeypatch):
    monkeypatch.setattr(reporting, "PATIENCE_S", 0)
    session, told = Session(), []

    async def fail():
        async with telling_stages(session, told.append):
            await asyncio.sleep(0)
            raise ValueError

    with pytest.raises(ExceptionGroup):
        await fail()
    assert [(row["stage"], row["state"]) for row in told] == [("clock", "failed")]


def test_people_and_programs_are_told_in_their_own_way(capsys):
    row = {"stage": "clock", "state": "passed", "cause": ""}
    announce_stage(row)
    print_stage(row)
    said = capsys.readouterr()
    assert said.out == 'STAGE {"stage": "clock", "state": "passed", "cause": ""}\n'
    assert said.err == "  clock      ok\n"
