import asyncio
import secrets
from types import SimpleNamespace

import pytest

from node.circuit.messages import EndReason
from node.circuit.probes import MAX_WAITING
from node.client.paths.circuit import Circuit
from node.errors import CircuitError


class Origin:
    """A circuit's core that only knows probes."""

    circuit_id = 1
    is_open = True

    def probe(self, _now, _hop):
        return secrets.randbits(64)


async def opened():
    """Return a circuit and the tokens of its probes."""
    loop = asyncio.get_running_loop()
    entry = SimpleNamespace(now=loop.time, wake=lambda: None, circuits={})
    built = loop.create_future()
    built.set_result(0.1)
    return Circuit(entry, Origin(), 0.0, built)


async def test_an_echo_is_the_round_trip():
    circuit = await opened()
    first, second = circuit.probe(), circuit.probe(0)
    token = list(circuit._probes)[1]
    circuit.probe_answered(token, 0.25)
    circuit.probe_answered(token, 0.5)
    assert await second == 0.25
    assert not first.done()


async def test_nobody_waits_for_an_echo_beyond_the_circuit():
    circuit = await opened()
    waiting, given_up = circuit.probe(), circuit.probe()
    given_up.cancel()
    circuit.lost(EndReason.LINK_LOST, "the link broke", 0)
    with pytest.raises(CircuitError, match="no echo"):
        await waiting


async def test_the_oldest_of_too_many_probes_is_cancelled():
    circuit = await opened()
    answers = [circuit.probe() for _ in range(MAX_WAITING + 1)]
    assert answers[0].cancelled()
    assert not any(answer.done() for answer in answers[1:])
    token = next(iter(circuit._probes))
    answers[1].cancel()
    circuit.probe_answered(token, 1.0)
    assert answers[1].cancelled()
