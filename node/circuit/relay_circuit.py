"""One circuit at a relay: its state, layers and lanes.

Cells pass forward as soon as their tag verifies. Backward cells wait as they came and get their
layer when they leave, so what a failure drops never leaves a gap in the counters.

Source: docs/spec/circuits.md, sections "Forward cells", "Backward cells" and "States".
"""

from collections.abc import Sequence

from node.circuit.actions import EndPayments, ResumeStream, TakeToken, TakeUnit
from node.circuit.backward import BackwardLayer, ContentKey
from node.circuit.cell import CELL_BYTES, CONTENT_BYTES
from node.circuit.exit import StreamEnds
from node.circuit.layer import (
    DELIVER,
    MESSAGES_END,
    MESSAGES_START,
    ForwardOpener,
)
from node.circuit.link_ports import Port
from node.circuit.messages import (
    EndReason,
    Message,
    MessageType,
    decode_messages,
    encode_message,
)
from node.circuit.payment import PaymentStatus, decode_payment
from node.circuit.pool import PoolShare
from node.circuit.probes import Echo, PaddingKind, decode_probe
from node.circuit.rekey import RELAY_INTERVAL_PARTS, HopRekey
from node.circuit.relay_lanes import BackwardLane, ForwardLane, Surroundings
from node.circuit.setup import OpenedCreate, TrafficKeys, created_body, last_body
from node.circuit.states import RELAY_TABLE, RelayInput, RelayState, step
from qnet.crypto.keys import DhKey
from qnet.errors import RemoteProtocolError
from qnet.messages.instruments import Opening


class RelayCircuit:
    """A circuit at this node.

    Args:
        handle: number of the circuit in this core.
        opened: what CREATE said.
        around: what all circuits share.
    """

    __slots__ = (
        "_buffer",
        "_content",
        "_early",
        "_echo",
        "_last_rekey",
        "_last_words",
        "_layer",
        "_opened",
        "_opener",
        "_rekey",
        "_rekeyed",
        "around",
        "backward",
        "ends",
        "forward",
        "handle",
        "has_shown",
        "is_premium",
        "next",
        "previous",
        "routing",
        "state",
        "touched",
    )

    previous: "Port[RelayCircuit]"

    def __init__(self, handle: int, opened: OpenedCreate, around: Surroundings) -> None:
        self.handle = handle
        self.around = around
        self.routing = opened.routing
        self.state = RelayState.CONNECTING
        self.touched = around.now
        self.next: Port[RelayCircuit] | None = None
        self._opened: OpenedCreate | None = opened
        self.is_premium = self.has_shown = False
        self._early: PaymentStatus | None = None
        self._rekeyed = self._last_words = b""
        self._last_rekey = around.now
        self._echo: Echo | None = None
        self._buffer = PoolShare(around.pool, self)
        self.forward = ForwardLane(self)
        self.backward = BackwardLane(self)
        self.ends = StreamEnds(
            handle,
            exits=around.exits,
            parameters=lambda: around.parameters,
            actions=around.actions,
            watch=self._watch,
        )

    def change(self, change: RelayInput) -> None:
        """Step the state.

        Raises:
            RemoteProtocolError: this cannot happen now.
        """
        self.state = step(RELAY_TABLE, self.state, change)

    def set_premium(self, *, premium: bool) -> None:
        """Weigh more or less than a free circuit from the next turn on, in both directions."""
        self.is_premium = premium
        weight = self.around.parameters.premium_weight if premium else 1
        self.forward.weight = self.backward.weight = weight

    def count_used(self, cells: int) -> None:
        """Count RELAY cells sent on at premium weight."""
        used = self.around.used
        used[self.handle] = used.get(self.handle, 0) + cells * CELL_BYTES

    def show(self, opening: Opening) -> None:
        """Have a token of the client looked at."""
        self.has_shown = True
        self.around.actions.add(TakeToken(self.handle, self.previous.link.link_id, opening))

    def tell_payment(self, status: PaymentStatus) -> None:
        """Say PAY_STATUS; before CREATED only the newest is kept, and said behind it.

        Raises:
            RemoteProtocolError: too many answers wait.
        """
        if not self.has_answered:
            self._early = status
        elif self.state is RelayState.OPEN:
            self.ends.outbox.say(MessageType.PAY_STATUS, 0, status.encode())

    def _watch(self, stream: int) -> None:
        due = self.around.now + self.around.parameters.stream_connect_s
        self.around.watch(due, self.handle, stream)

    @property
    def due(self) -> float:
        """Time at which the circuit has waited too long in its state."""
        parameters = self.around.parameters
        is_open = self.state is RelayState.OPEN
        limit = parameters.circuit_idle_s if is_open else parameters.circuit_build_s
        return self.touched + limit

    # setup

    @property
    def phase(self) -> int:
        """Key phase of the setup."""
        assert self._opened is not None  # only before `answer`
        return self._opened.transcript.phase

    def take_next_body(self) -> bytes:
        """Return the CREATE body for the next hop."""
        assert self._opened is not None  # only before `answer`
        return self._opened.next_body

    def answer(self, behind: bytes | None) -> bytes:
        """Derive the keys and return the CREATED body.

        Args:
            behind: CREATED body of the next hop; None if the circuit ends here.
        """
        opened, self._opened = self._opened, None
        assert opened is not None  # a circuit answers once
        fresh = DhKey(self.around.random(32))
        keys: TrafficKeys = opened.answer(fresh)
        cipher = opened.routing.cipher
        self._opener = ForwardOpener(cipher, keys.layer)
        self._layer = BackwardLayer(cipher, keys.layer)
        self._content = ContentKey(cipher, keys.layer.backward)
        self._rekey = HopRekey(keys.root)
        if self._early is not None:
            self.ends.outbox.say(MessageType.PAY_STATUS, 0, self._early.encode())
        return created_body(keys, fresh.public, last_body(keys) if behind is None else behind)

    @property
    def has_answered(self) -> bool:
        """Whether CREATED was made."""
        return self._opened is None

    def _stir(self) -> None:
        """A cell is about to use the ciphers."""
        self.touched = self.around.now
        self.around.awake.add(self)

    def rest(self) -> None:
        """Drop the ciphers until a cell needs them; keys and counters stay."""
        for keys in (self._opener, self._layer, self._content):
            keys.rest()
        self.ends.outbox.rest()

    # forward

    def receive_forward(self, cells: Sequence[bytes]) -> None:
        """Open RELAY cells from the client's side; pass them on or deliver them.

        Raises:
            RemoteProtocolError: a wrong tag or a broken rule; the circuit must be destroyed.
        """
        if self.state is not RelayState.OPEN:
            raise RemoteProtocolError("RELAY before the circuit is open")
        self.previous.window.receive(len(cells), self.around.now)
        self._stir()
        following = self.next
        header = b"" if following is None else following.header
        onward: list[bytes] = []
        remaining = iter(cells)
        while (plain := self._opener.pass_on(remaining, header, onward)) is not None:
            if plain[0] != DELIVER:
                raise RemoteProtocolError("a cell for nobody")
            for message in decode_messages(plain, MESSAGES_START, MESSAGES_END, forward=True):
                self._handle(message)
        if following is not None and onward:
            self.forward.queue.push(onward)
            following.activate()
        if len(onward) < len(cells):
            self.previous.consumed(len(cells) - len(onward))
            self.speak_up()

    def _handle(self, message: Message) -> None:
        if message.kind is MessageType.REKEY:
            self._start_rekey(message.data)
        elif message.kind is MessageType.REKEY_SWITCH:
            self._opener.set_keys(self._rekey.handle_switch(message.data))
        elif message.kind is MessageType.PADDING:
            self._answer_probe(message.data)
        elif message.kind is MessageType.PAY:
            self._take_payment(message.data)
        else:
            self.ends.handle(message, self.around.now)

    def _take_payment(self, data: bytes) -> None:
        payment = decode_payment(data)
        if isinstance(payment, Opening):
            self.show(payment)
        elif self.has_shown:
            self.around.actions.add(TakeUnit(self.handle, payment))
        else:
            raise RemoteProtocolError("a unit of no token")

    def _answer_probe(self, data: bytes) -> None:
        token = decode_probe(data, PaddingKind.ASK)
        if token is None:
            return
        now = self.around.now
        if self._echo is None:
            self._echo = Echo(now)
        answer = self._echo.answer(token, now)
        if answer is not None:
            self.ends.outbox.say(MessageType.PADDING, 0, answer)

    def _start_rekey(self, data: bytes) -> None:
        around = self.around
        interval = around.parameters.circuit_rekey_s / RELAY_INTERVAL_PARTS
        if self._rekey.generation and around.now - self._last_rekey < interval:
            raise RemoteProtocolError("rekeys come too fast")
        self._last_rekey = around.now
        answer = self._rekey.handle_rekey(data, DhKey(around.random(32)))
        self._rekeyed = encode_message(MessageType.REKEYED, 0, answer)

    # backward

    def receive_backward(self, port: "Port[RelayCircuit]", cells: Sequence[bytes]) -> None:
        """Queue RELAY cells of the next hop.

        Raises:
            RemoteProtocolError: too early, or without credit.
        """
        if self.state is not RelayState.OPEN:
            raise RemoteProtocolError("RELAY before CREATED")
        port.window.receive(len(cells), self.around.now)
        self.touched = self.around.now
        self.backward.queue.push(cells)
        self.previous.activate()

    def wrap(self, cells: Sequence[bytes]) -> list[bytes]:
        """Return cells of the next hop under our layer; it gets its credit back."""
        if self.next is not None:
            self.next.consumed(len(cells))
        self.around.awake.add(self)
        return self._layer.wrap_all(cells, self.previous.header)

    @property
    def has_content(self) -> bool:
        """Whether this hop has something to say itself."""
        return bool(self._rekeyed or self._last_words or self.ends.outbox.has_content)

    def speak(self, count: int) -> list[bytes]:
        """Return the next cells that this hop says itself, up to `count`; there is content."""
        self._stir()
        if self._last_words:
            cells = [self._seal(self._last_words)]
            self._last_words = b""
            self.around.told.append(self)
        elif self._rekeyed:
            cells = [self._seal(self._rekeyed)]
            self._rekeyed = b""
            keys = self._rekey.sent()
            self._layer.set_keys(keys)
            self._content.set_key(keys.backward)
        else:
            cells = []
            outbox, seal = self.ends.outbox, self._seal
            while outbox.has_content and len(cells) < count:
                cells.append(seal(outbox.next_content(CONTENT_BYTES)))
            self.resume()
        return cells

    def _seal(self, content: bytes) -> bytes:
        left, right = self._content.seal(content)
        return self._layer.wrap(left, right, self.previous.header)

    def speak_up(self) -> None:
        """Let the backward lane take part if there is something to say; report room."""
        self.renew_buffer()
        self.resume()
        self.previous.activate()

    def resume(self) -> None:
        """Tell the driver which streams take data again."""
        resumed = self.ends.outbox.resumed
        if resumed:
            for stream in resumed:
                self.around.actions.add(ResumeStream(self.handle, stream))
            resumed.clear()

    def renew_buffer(self) -> None:
        """Count the bytes that wait in streams into the pool."""
        self._buffer.renew(self.ends.outbox.cells)

    # end

    def say_last_words(self, reason: EndReason) -> None:
        """Tell the client why the circuit ends here, after what still waits for it."""
        self.forward.queue.clear()
        self.ends.abandon(reason)
        self.renew_buffer()
        self._rekeyed = b""
        self._last_words = encode_message(MessageType.END, 0, bytes([reason]))
        self.touched = self.around.now

    def release(self, reason: EndReason) -> None:
        """Give back all memory, end all streams, and say nothing more."""
        self.forward.queue.clear()
        self.backward.queue.clear()
        self._rekeyed = self._last_words = b""
        self.ends.abandon(reason)
        self.renew_buffer()
        self.around.used.pop(self.handle, None)
        if self.has_shown:
            self.around.actions.add(EndPayments(self.handle))

    def erase_keys(self) -> None:
        """Let go of all keys; the circuit is closed."""
        self._opened = None
        for name in ("_opener", "_layer", "_content", "_rekey"):
            if hasattr(self, name):
                delattr(self, name)
