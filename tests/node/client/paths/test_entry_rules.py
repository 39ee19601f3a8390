"""What a client does when its entry breaks a rule of the link."""

import asyncio

import pytest

from node.circuit.cell import BODY_BYTES, Command, encode_header
from node.circuit.messages import EndReason
from node.client.paths.circuit import Circuit
from node.client.paths.entry import EntryLink
from node.htx.events import CloseReason
from node.htx.record import RecordType
from tests.node.circuit.network import Network


class Wire:
    """Stands for the link over TCP."""

    def __init__(self):
        self.closed_for = None
        self.is_writable = True

    @property
    def is_closed(self):
        return self.closed_for is not None

    def close(self, reason):
        self.closed_for = reason
        self.handler.link_closed(self, reason)

    def flush(self):
        pass


@pytest.mark.parametrize(
    ("cells", "record", "words"),
    [
        ([bytes(100)], None, "a cell of a wrong size"),
        ([encode_header(1, Command.RELAY)[:4] + b"\xff\0\0\0" + bytes(BODY_BYTES)], None, ""),
        (None, b"odd", "malformed CREDIT record"),
    ],
    ids=["size", "command", "credit"],
)
async def test_the_link_is_closed_and_the_entry_named(cells, record, words):
    network = Network()
    causes = []
    entry = EntryLink(
        origin=network.client,
        name="node 7",
        now=lambda: network.now,
        on_closed=lambda _entry, cause: causes.append(cause),
    )
    origin = network.built(0, 1, 2)
    circuit = Circuit(entry, origin, network.now, asyncio.get_running_loop().create_future())
    entry.circuits[origin.circuit_id] = circuit
    wire = Wire()
    wire.handler = entry
    entry.link_opened(wire)
    if cells is not None:
        entry.cells_received(wire, cells)
    else:
        entry.record_received(wire, RecordType.CREDIT, record)
    assert wire.closed_for is CloseReason.PROTOCOL
    assert circuit.closed
    assert (circuit.failed_reason, circuit.failed_hop) == (EndReason.CIRCUIT_DESTROYED, 0)
    assert f"entry node 7 broke a rule of the link: {words}" in circuit.failure
    assert len(causes) == 1
    assert not entry.circuits
