"""`qnet bench parts`: what one cell of a download costs at each node, part by part.

The client, three relays and the links between them run in this process without sockets, joined by
real TLS, records and circuits. Each step of a batch is timed apart; what is left of the processor
time that `qnet bench circuit` shows for a process are the kernel, the event loop and cold caches.
"""

from __future__ import annotations

import datetime as dt
import itertools
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from node.ciphers import link_features, offered_ciphers
from node.circuit.actions import Action, ConnectNext, OpenStream, StreamData
from node.circuit.keys.phase import PhaseKeyring
from node.circuit.origin import HopInfo, OriginCircuit, OriginLink
from node.circuit.relay import RelayCore
from node.circuit.streams import SEND_BUFFER_BYTES
from node.htx.events import CLIENT, CellsReceived
from node.htx.handshake import record_cipher
from node.htx.keys import ServerKeys
from node.htx.session import Session
from node.io.tls import (
    TlsStream,
    client_context,
    default_template,
    generate_certificate,
    server_context,
)
from qnet.crypto.keys import DhKey
from qnet.errors import NetworkError
from qnet.parameters import NetworkParameters
from tools.bench.machine import Figure, machine

ROLES = ("client", "entry", "relay", "exit")
HOPS = 3
PHASE = 1
READ_BYTES = 256_000
"""One read of the event loop from a busy socket."""
PULL_CELLS = 256
WARM_UP_ROUNDS = 40
"""Until windows have grown."""
DEFAULT_ROUNDS = 200
SAMPLES = 10

T = TypeVar("T")


@dataclass(slots=True)
class Clock:
    """Time spent, by role and part."""

    seconds: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))

    def timed(self, role: str, part: str, work: Callable[[], T]) -> T:
        """Do something and count its time."""
        started = time.thread_time()
        result = work()
        self.seconds[role, part] += time.thread_time() - started
        return result


class Joint:
    """One link: TLS and records at both ends; `left` is the client's side.

    Args:
        left: role of the end that dialled.
        right: role of the other.
        clock: counts the time.
    """

    def __init__(self, left: str, right: str, clock: Clock) -> None:
        self.roles = {0: left, 1: right}
        self._clock = clock
        certificate = generate_certificate("bench.example", dt.datetime.now(dt.UTC))
        keys = ServerKeys(
            certificate_pem=certificate.chain_pem,
            certificate_key_pem=certificate.key_pem,
            spki_hash=certificate.spki_hash,
            link_keys=(DhKey(secrets.token_bytes(32)),),
            ticket_keys={bytes(8): DhKey(secrets.token_bytes(32))},
        )
        self._tls = (
            TlsStream(client_context(default_template()), "bench.example"),
            TlsStream(server_context(keys), None),
        )
        self._shake()
        root, parameters = secrets.token_bytes(32), NetworkParameters.profile("main")
        self._sessions = tuple(
            Session(
                root,
                CLIENT,
                initiator=initiator,
                health=False,
                parameters=parameters,
                random=secrets.token_bytes,
                now=0.0,
                cipher=record_cipher(link_features()),
            )
            for initiator in (True, False)
        )

    def _shake(self) -> None:
        done = [False, False]
        while not all(done):
            for end in (0, 1):
                done[end] = self._tls[end].handshake()
                self._tls[1 - end].feed(self._tls[end].output())

    def carry(self, end: int, cells: list[bytes], now: float) -> list[list[bytes]]:
        """Send cells from one end; return them as the other end's handler gets them."""
        sender, receiver = self.roles[end], self.roles[1 - end]
        session, tls, timed = self._sessions[end], self._tls[end], self._clock.timed

        def seal() -> list[bytes]:
            session.send_cells(cells)
            return session.data_to_send(now)

        records = timed(sender, "records", seal)
        stream = b"".join(timed(sender, "TLS", lambda: tls.encrypt(records)))
        arrived: list[list[bytes]] = []
        other, other_tls = self._sessions[1 - end], self._tls[1 - end]
        for at in range(0, len(stream), READ_BYTES):
            piece = stream[at : at + READ_BYTES]
            timed(receiver, "TLS", partial(other_tls.feed, piece))
            while data := timed(receiver, "TLS", other_tls.read):
                events = timed(receiver, "records", partial(other.receive, data, now))
                arrived += [event.cells for event in events if isinstance(event, CellsReceived)]
        return arrived


class Chain:
    """A client, three relays, one circuit and one stream through them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.now = 0.0
        self.cells = 0
        parameters = NetworkParameters.profile("main")
        self.joints = [Joint(*pair, self.clock) for pair in itertools.pairwise(ROLES)]
        ids = [secrets.token_bytes(32) for _ in range(HOPS)]
        rings = [PhaseKeyring(PHASE, ahead=0) for _ in range(HOPS)]
        self.cores = [
            RelayCore(
                node_id=ids[position],
                phase_keys=rings[position],
                random=secrets.token_bytes,
                parameters=parameters,
                exits=position == HOPS - 1,
            )
            for position in range(HOPS)
        ]
        for position, core in enumerate(self.cores):
            core.link_opened(position, outgoing=False)
            if position + 1 < HOPS:
                core.link_opened(position + 1, outgoing=True)
        self.origin = OriginLink(random=secrets.token_bytes, parameters=parameters)
        cipher = max(offered_ciphers())
        hops = [
            HopInfo(index + 1, ids[index], rings[index].public(PHASE), cipher)
            for index in range(HOPS)
        ]
        self.circuit: OriginCircuit = self.origin.open_circuit(hops, PHASE, self.now)
        self.received = 0
        self.opened: list[OpenStream] = []
        self.forward()
        self.backward()
        if not self.circuit.is_open:
            raise NetworkError("the bench's circuit was not built")
        self.circuit.open_stream("bench.example", 80)
        self.forward()
        if not self.opened:
            raise NetworkError("the bench's stream did not arrive")
        circuit, stream = self.opened[0].circuit, self.opened[0].stream
        self.cores[-1].stream_connected(circuit, stream, b"", self.now)
        self.backward()
        self.clock.seconds.clear()

    def _carry_out(self, position: int, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, ConnectNext):
                self.cores[position].link_ready(action.circuit, position + 1, self.now)
            elif isinstance(action, OpenStream):
                self.opened.append(action)

    def forward(self) -> None:
        """Move what the client has to say, and the credit of relays, towards the exit."""
        cells = self.clock.timed("client", "circuit", lambda: self.origin.pull(PULL_CELLS))
        for position, core in enumerate(self.cores):
            role = ROLES[position + 1]
            for batch in self.joints[position].carry(0, cells, self.now) if cells else ():
                handle = partial(core.handle_cells, position, batch, self.now)
                self._carry_out(position, self.clock.timed(role, "circuit", handle))
            cells = core.pull(position + 1, PULL_CELLS) if position + 1 < HOPS else []

    def backward(self) -> None:
        """Move what relays have for the client, all the way."""
        for position in range(HOPS - 1, -1, -1):
            core, role = self.cores[position], ROLES[position + 1]
            cells = self.clock.timed(role, "circuit", partial(core.pull, position, PULL_CELLS))
            if position == HOPS - 1:
                self.cells += len(cells)
            for batch in self.joints[position].carry(1, cells, self.now):
                self._arrive(position, batch)
        self._credits()

    def _arrive(self, position: int, cells: list[bytes]) -> None:
        if position:
            core = self.cores[position - 1]
            self.clock.timed(
                ROLES[position],
                "circuit",
                lambda: core.handle_cells(position, cells, self.now),
            )
            return
        for event in self.clock.timed(
            "client", "circuit", lambda: self.origin.handle_cells(cells, self.now)
        ):
            if isinstance(event, StreamData):
                size = sum(map(len, event.chunks))
                self.received += size
                self.circuit.consumed(event.stream, size)

    def _credits(self) -> None:
        for content in self.origin.take_credits():
            self.cores[0].handle_credit(0, content, self.now)
        for position, core in enumerate(self.cores):
            for link_id, content in core.take_credits():
                if link_id == position + 1:
                    self.cores[position + 1].handle_credit(link_id, content, self.now)
                elif position:
                    self.cores[position - 1].handle_credit(link_id, content, self.now)
                else:
                    self.origin.handle_credit(content, self.now)

    def round(self, data: bytes) -> int:
        """Let the destination send as much as fits, and move it; return how much was taken."""
        opened = self.opened[0]
        self.now += 0.001
        send = partial(self.cores[-1].stream_data, opened.circuit, opened.stream, data)
        taken = self.clock.timed("exit", "circuit", send)
        self.backward()
        self.forward()
        if not self.circuit.is_open:
            raise NetworkError("the bench's circuit broke")
        return taken


def run(rounds: int = DEFAULT_ROUNDS) -> dict[str, Any]:
    """Measure.

    Raises:
        NetworkError: bytes were lost.
    """
    chain = Chain()
    data = secrets.token_bytes(min(SEND_BUFFER_BYTES, PULL_CELLS * 2019))
    taken = sum(chain.round(data) for _ in range(WARM_UP_ROUNDS))
    samples: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(SAMPLES):
        chain.clock.seconds.clear()
        chain.cells = 0
        taken += sum(chain.round(data) for _ in range(max(1, rounds // SAMPLES)))
        for key, seconds in chain.clock.seconds.items():
            samples[key].append(seconds * 1e6 / chain.cells)
    for _ in range(WARM_UP_ROUNDS):
        chain.backward()
    if chain.received != taken:
        raise NetworkError(f"{chain.received} of {taken} bytes arrived")
    figures = [
        Figure(f"{role}, {part}", "us per cell", values)
        for role in ROLES
        for part in ("TLS", "records", "circuit")
        if (values := samples.get((role, part)))
    ]
    return {"machine": machine(), "results": [figure.row() for figure in figures]}
