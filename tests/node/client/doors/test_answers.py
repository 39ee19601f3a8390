import asyncio
from ipaddress import ip_address

import pytest

from node.circuit.actions import NameResolved
from node.circuit.messages import Answer, EndReason
from node.client.doors.answers import admitted_answers
from node.client.paths.circuit import Circuit
from node.client.paths.entry import EntryLink
from qnet.parameters import DEVNET_CHAIN_ID
from tests.node.circuit.network import Network

PUBLIC = Answer(ip_address("93.184.215.14").packed, 60)
PUBLIC6 = Answer(ip_address("2606:4700::1").packed, 60)
PRIVATE = [
    Answer(ip_address(text).packed, 60)
    for text in (
        *("127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fd00::1", "::ffff:192.168.1.1", "64:ff9b::7f00:1", "ff02::1"),
    )
]


def test_only_public_addresses_are_admitted():
    answers = (PUBLIC, *PRIVATE, PUBLIC6)
    assert admitted_answers(answers, chain_id=1) == (PUBLIC, PUBLIC6)
    assert admitted_answers(answers, chain_id=DEVNET_CHAIN_ID) == answers


class Sink:
    def __init__(self):
        self.outcome = None

    def stream_ended(self, reason):
        self.outcome = reason

    def name_resolved(self, answers):
        self.outcome = answers


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ((PUBLIC, PRIVATE[0]), (PUBLIC,)),
        ((PRIVATE[0],), EndReason.RESOLVE_FAILED),
        ((), ()),
    ],
)
async def test_an_application_never_hears_of_a_private_one(answers, outcome):
    network = Network()
    entry = EntryLink(
        origin=network.client,
        name="node 1",
        now=lambda: network.now,
        admits=lambda said: admitted_answers(said, chain_id=1),
    )
    origin = network.built(0)
    circuit = Circuit(entry, origin, network.now, asyncio.get_running_loop().create_future())
    entry.circuits[origin.circuit_id] = circuit
    sink = Sink()
    number = circuit.resolve("a.example", sink)
    entry._dispatch([NameResolved(origin.circuit_id, number, answers)])
    assert sink.outcome == outcome
    assert not circuit.streams
