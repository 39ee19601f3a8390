"""OriginCircuit: the client's end of one circuit, without I/O.

Cells are built when they leave, so that rekeys, deadlines and streams fall in one order.

Source: docs/spec/circuits.md.
"""

from collections.abc import Sequence

from node.circuit.actions import CircuitBuilt, CircuitFailed, HopRekeyed, PaymentAnswered
from node.circuit.cell import CELL_BYTES, CONTENT_BYTES
from node.circuit.layer import messages_room
from node.circuit.link_ports import Port
from node.circuit.messages import (
    BLAMES_NEXT,
    EndReason,
    Message,
    MessageType,
    decode_end,
    decode_messages,
    encode_begin,
    encode_host,
    encode_message,
)
from node.circuit.origin_lane import OriginLane, OriginSurroundings
from node.circuit.origin_layers import OriginLayers
from node.circuit.origin_rekeys import OriginRekeys
from node.circuit.origin_streams import StreamStarts
from node.circuit.payment import Carriage, Payment, PaymentStatus
from node.circuit.pool import PoolShare
from node.circuit.setup import HopInfo, PendingHop
from node.circuit.states import ORIGIN_TABLE, OriginInput, OriginState, step
from node.circuit.upkeep import Upkeep
from qnet.errors import LocalProtocolError, RemoteProtocolError


class OriginCircuit:
    """One circuit of a client; `OriginLink.open_circuit` makes it.

    Attributes:
        circuit_id: its id on the link.
        hops: the path, entry first.
        opened_at: time of CREATE, in seconds.
    """

    __slots__ = (
        "_around",
        "_buffer",
        "_carriage",
        "_layers",
        "_rekeys",
        "_starts",
        "_upkeep",
        "circuit_id",
        "hops",
        "lane",
        "opened_at",
        "port",
        "state",
    )

    port: "Port[OriginCircuit]"

    def __init__(
        self,
        circuit_id: int,
        hops: Sequence[HopInfo],
        pending: list[PendingHop],
        around: OriginSurroundings,
    ) -> None:
        self.circuit_id = circuit_id
        self.hops = tuple(hops)
        self.state = OriginState.BUILDING
        self.opened_at = around.now
        self._around = around
        self._layers = OriginLayers(around.random, pending)
        self._rekeys = OriginRekeys(around.random)
        self._starts = StreamStarts(circuit_id, len(hops), around.events)
        self._upkeep = Upkeep(circuit_id, self._starts, self._rekeys, around)
        self._buffer = PoolShare(around.pool, self)
        self._carriage: Carriage | None = None
        self.lane = OriginLane(self)

    @property
    def is_open(self) -> bool:
        """Whether every hop answered and the circuit still stands."""
        return self.state is OriginState.OPEN

    @property
    def streams(self) -> int:
        """Open streams."""
        return len(self._starts)

    @property
    def generations(self) -> tuple[int, ...]:
        """How often each hop's keys were replaced."""
        return self._rekeys.generations

    # setup

    def handle_created(self, body: bytes) -> None:
        """Take CREATED.

        Raises:
            RemoteProtocolError: it does not verify or was not expected.
        """
        if self.state is not OriginState.BUILDING:
            raise RemoteProtocolError("CREATED twice")
        keys = self._layers.begin(self.hops, body)
        whole = len(keys) == len(self.hops)
        self.state = step(
            ORIGIN_TABLE, self.state, OriginInput.CREATED if whole else OriginInput.CUT_SHORT
        )
        self._rekeys.begin([traffic.root for traffic in keys])
        around = self._around
        if whole:
            around.events.add(CircuitBuilt(self.circuit_id, around.now - self.opened_at))
            self.port.activate()

    # streams

    def open_stream(self, host: str, port: int, *, hop: int = -1) -> int:
        """Ask a hop (the last by default) to connect; return the stream's number.

        Data may be sent at once; it waits at the exit until the connection stands.

        Raises:
            LocalProtocolError: the circuit is closed, out of stream numbers, or the host is odd.
        """
        data = encode_begin(host, port)
        return self._open(MessageType.BEGIN, data, hop)

    def begin_directory(self, *, hop: int = -1) -> int:
        """Open a stream for directory data at a hop; it counts as connected at once.

        Raises:
            LocalProtocolError: the circuit is closed or out of stream numbers.
        """
        return self._open(MessageType.BEGIN_DIR, b"", hop)

    def resolve(self, host: str, *, hop: int = -1) -> int:
        """Ask for the addresses of a name; NameResolved or StreamEnded follows.

        Raises:
            LocalProtocolError: the circuit is closed, out of stream numbers, or the host is odd.
        """
        return self._open(MessageType.RESOLVE, encode_host(host), hop)

    def _open(self, message: MessageType, data: bytes, hop: int) -> int:
        if not self.is_open:
            raise LocalProtocolError("the circuit is not open")
        around = self._around
        window_bytes = around.parameters.stream_window_cells * CELL_BYTES
        position = range(len(self.hops))[hop]
        number = self._starts.open(
            message, data, position, window_bytes, around.now, pressed=around.pool.is_pressed
        )
        self._upkeep.used()
        self.port.activate()
        return number

    def send(self, stream: int, data: bytes) -> int:
        """Queue data (64 KiB at a time is good).

        Returns:
            Bytes taken. If fewer than given, keep the rest and wait for StreamWritable.
        """
        accepted = self._starts.send(stream, data)
        self.renew_buffer()
        self.port.activate()
        return accepted

    def end(self, stream: int, reason: EndReason = EndReason.DONE) -> None:
        """End our direction (DONE, after queued data), or drop the stream (any other reason)."""
        self._starts.end(stream, reason)
        self.renew_buffer()
        self.port.activate()

    def consumed(self, stream: int, count: int) -> None:
        """The application took `count` bytes of StreamData: credit goes back."""
        around = self._around
        self._starts.consumed(stream, count, around.now, pressed=around.pool.is_pressed)
        self.renew_buffer()
        self.port.activate()

    # cells out

    @property
    def has_content(self) -> bool:
        """Whether `build_cell` has something to say."""
        return self._rekeys.has_switch or (self.is_open and self._starts.has_content)

    def build_cell(self) -> bytes:
        """Return the next cell; there must be content."""
        self._layers.used_at = self._around.now
        if self._rekeys.has_switch:
            return self._switch()
        position = self._starts.next_outbox()
        outbox = self._starts.outboxes[position]
        messages = outbox.next_content(messages_room(position))
        cell = self._layers.seal(position, messages, self.port.header)
        self._starts.report(outbox)
        if self._carriage is not None:
            self._carriage.told(position)
        return cell

    def _switch(self) -> bytes:
        """Return the cell with REKEY_SWITCH, the last under the hop's old forward keys."""
        position, data = self._rekeys.next_switch()
        messages = encode_message(MessageType.REKEY_SWITCH, 0, data)
        cell = self._layers.seal(position, messages, self.port.header)
        keys, generation = self._rekeys.switched(position)
        self._layers.set_forward(position, keys)
        self._around.events.add(HopRekeyed(self.circuit_id, position, generation))
        if self._carriage is not None:
            self._carriage.told(position)
        return cell

    def renew_buffer(self) -> None:
        """Count the bytes that wait in streams into the pool."""
        self._buffer.renew(self._starts.buffered_cells)

    # cells in

    def handle_relay(self, cells: Sequence[bytes]) -> None:
        """Take RELAY cells of one wake-up.

        Raises:
            RemoteProtocolError: a cell that no hop of ours sent, or a broken rule.
        """
        if self.state is OriginState.BUILDING:
            raise RemoteProtocolError("RELAY before CREATED")
        try:
            self.port.window.receive(len(cells), self._around.now)
        except RemoteProtocolError:
            self.fail(EndReason.PROTOCOL, 0)  # every hop answers for its own credit
            return
        carriage = self._carriage
        for position, number, parts in self._layers.heard(cells):
            if carriage is not None:
                carriage.heard(position, len(parts))
            self._hear(position, number, parts)
            if self.state is OriginState.CLOSED:
                return
        self.port.consumed(len(cells))
        self.renew_buffer()
        self.port.activate()

    def _hear(self, position: int, number: int, parts: list[bytes]) -> None:
        """Take what a hop said; it alone can have said it, so a broken rule is its own."""
        try:
            if number:
                self._starts.hear(position, number, parts, self._around.now)
                return
            for message in decode_messages(parts[0], 0, CONTENT_BYTES, forward=False):
                self._handle(position, message)
                if self.state is OriginState.CLOSED:
                    return
        except RemoteProtocolError:
            self.fail(EndReason.PROTOCOL, position)

    def _handle(self, position: int, message: Message) -> None:
        kind, number, data = message
        if kind is MessageType.END and not number:
            reason = decode_end(data)
            failed = position + 1 if reason in BLAMES_NEXT else position
            self.fail(reason, min(failed, len(self.hops) - 1))
        elif kind is MessageType.REKEYED:
            self._layers.opener.set_keys(position, self._rekeys.rekeyed(position, data))
        elif kind is MessageType.PADDING:
            self._upkeep.padded(position, data)
        elif kind is MessageType.PAY_STATUS:
            status = PaymentStatus.decode(data)
            self._around.events.add(PaymentAnswered(self.circuit_id, position, status))
        else:
            self._starts.handle(position, message, self._around.now)

    # payments

    def count_carriage(self) -> Carriage:
        """Return what each hop sent on; it is counted from the first call on."""
        if self._carriage is None:
            self._carriage = Carriage(len(self.hops))
        return self._carriage

    def pay(self, hop: int, payment: Payment) -> None:
        """Show a token to a hop, or pay units of it; PaymentAnswered may follow.

        Raises:
            LocalProtocolError: the circuit is not open.
        """
        if not self.is_open:
            raise LocalProtocolError("the circuit is not open")
        self._starts.outboxes[hop].say(MessageType.PAY, 0, payment.encode())
        self.port.activate()

    # probes, rekey, deadlines, end

    def probe(self, now: float, hop: int = -1) -> int:
        """Ask a hop (the last by default) for an echo; ProbeAnswered may follow.

        A hop leaves unanswered what exceeds 8 probes a second.

        Returns:
            The token that the answer bears.

        Raises:
            LocalProtocolError: the circuit is not open.
        """
        if not self.is_open:
            raise LocalProtocolError("the circuit is not open")
        self._around.now = now
        token = self._upkeep.probe(range(len(self.hops))[hop])
        self.port.activate()
        return token

    def rekey(self, now: float) -> None:
        """Ask every hop for fresh keys now; a hop that is still at it is left alone."""
        self._around.now = now
        if self.is_open:
            self._upkeep.rekey()
            self.port.activate()

    def tick(self) -> None:
        """Act on deadlines: build, rekey, answers, idle; keep a circuit with streams alive."""
        around = self._around
        if self.state is not OriginState.OPEN:
            if around.now - self.opened_at >= around.parameters.circuit_build_s:
                self.fail(EndReason.BUILD_TIMEOUT, None)
            return
        if self._layers.tick(around.now):
            self._starts.rest()
        ended = self._upkeep.tick()
        if ended is None:
            self.port.activate()
        else:
            self.fail(*ended)

    def destroyed(self) -> None:
        """The entry sent DESTROY."""
        if self.state is OriginState.TRUNCATED:
            self.fail(EndReason.NEXT_DESTROYED, len(self._rekeys))
        else:
            self.fail(EndReason.CIRCUIT_DESTROYED, 0)

    def destroy(self) -> None:
        """End the circuit because the client wants it; no event follows."""
        if self.state is not OriginState.CLOSED:
            self._close()

    def fail(self, reason: EndReason, hop: int | None) -> None:
        """End the circuit with an error: every stream's first, then the circuit's own event."""
        self._starts.abandon(reason)
        self._around.events.add(CircuitFailed(self.circuit_id, reason, hop))
        self._close()

    def _close(self) -> None:
        self.state = step(ORIGIN_TABLE, self.state, OriginInput.ENDED)
        self._starts.abandon(None)
        self._layers.erase()
        self._rekeys.erase()
        self.renew_buffer()
        self._around.ended(self)
