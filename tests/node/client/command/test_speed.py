import asyncio
from types import SimpleNamespace

import pytest

from node.circuit.messages import EndReason
from node.client.command import speed
from node.client.command.speed import BUILDS, measure_speed
from node.directory.exchange import DirRequest, Kind, Status, split_answer


class FakeCircuit:
    """A circuit whose exit gives random bytes, or says that it is busy."""

    def __init__(self, *, busy=False, echoes=True):
        self.busy = busy
        self.echoes = echoes
        self.destroyed = False
        self.is_open = True

    def begin_directory(self, sink, *, hop):
        self.sink = sink
        assert hop == 2
        return 1

    def send(self, number, data):
        request = DirRequest.decode(data)
        assert request.kind is Kind.MEASURE
        status = Status.BUSY if self.busy else Status.RAW
        body = b"" if self.busy else bytes(request.size_bytes)
        pieces = list(split_answer(request.request, status, body))
        asyncio.get_running_loop().call_soon(self.sink.stream_data, tuple(pieces))
        return len(data)

    def consumed(self, number, count):
        pass

    def end(self, number, reason):
        assert reason is EndReason.RESET

    def probe(self, hop):
        answer = asyncio.get_running_loop().create_future()
        if self.echoes:
            answer.set_result(0.01 * (hop + 1))
        return answer

    def destroy(self, cause=""):
        self.destroyed = True


class FakeCircuits:
    """Builds what the test gave."""

    def __init__(self, **options):
        self.options = options
        self.made = []

    def choose(self, wishes):
        return SimpleNamespace(nodes=[SimpleNamespace(index=index) for index in (4, 5, 6)])

    async def build_path(self, path):
        circuit = FakeCircuit(**self.options)
        self.made.append(circuit)
        return SimpleNamespace(circuit=circuit, path=path, built_s=0.1 * len(self.made))


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(speed, "PROBE_PAUSE_S", 0)
    monkeypatch.setattr(speed, "PROBE_TIMEOUT_S", 0.02)


async def test_building_round_trips_and_goodput():
    circuits = FakeCircuits()
    found = (await measure_speed(circuits, size=10_000, within_s=5)).to_json()
    assert found["path"] == [4, 5, 6]
    assert found["build_ms"] == 200.0
    assert found["round_trip_ms"] == [10.0, 20.0, 30.0]
    assert found["bytes"] == 10_000
    assert found["goodput_bytes_s"] > 0
    assert found["problem"] == ""
    assert [circuit.destroyed for circuit in circuits.made] == [True] * BUILDS


async def test_an_exit_that_is_busy_is_no_goodput_and_says_so():
    found = (await measure_speed(FakeCircuits(busy=True), size=10_000, within_s=5)).to_json()
    assert found["goodput_bytes_s"] is None
    assert "refuses" in found["problem"]


async def test_goodput_can_be_left_out_and_hops_may_stay_silent():
    found = await measure_speed(FakeCircuits(echoes=False), size=0, within_s=5)
    assert found.round_trip_s == [None] * 3
    assert found.goodput_bytes_s is None
    assert found.problem == ""
