"""All tunnels of an exit: deliveries come in, packets by reply blocks go out.

To the part of the node that connects to destinations a tunnel is a circuit with a handle that no
circuit has.

Source: docs/spec/mixnet.md, section Streams.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from node.circuit.actions import Action, DeliverData, ResumeStream
from node.circuit.journal import Journal
from node.circuit.messages import Answer, EndReason
from node.mix.carried import Packet
from node.mix.envelope import open_frame
from node.mix.packet import Delivery
from node.mix.replay import Admission, ReplayFilter
from node.mix.streams.terminal import Terminal
from node.mix.streams.turns import Turns
from node.mix.streams.wire import Flag, Seen, TunnelFrame, TunnelReply, decode_tunnel_frame
from node.mix.surb import Surb
from qnet.crypto.kdf import keyed
from qnet.errors import CryptoError, RemoteProtocolError
from qnet.parameters import NetworkParameters
from qnet.sampling import RandomBytes

MAX_TUNNELS: Final = 1024
MEMORY_BYTES: Final = 1 << 27
IDLE_S: Final = 300.0
"""A tunnel whose client says nothing for so long is forgotten."""
REPLAY_SLOTS: Final = 1 << 20
FIRST_HANDLE: Final = 1 << 62
"""Handles of tunnels; those of circuits are far below."""
BATCH: Final = 64
"""Packets handed out at once."""
MAX_REFUSALS: Final = 256
"""Such answers that wait; beyond, clients notice by silence."""


class Cause(StrEnum):
    """Why a frame was not taken, or a tunnel ended; the metric label."""

    UNREADABLE = "unreadable"
    UNKNOWN = "unknown"
    REPLAYED = "replayed"
    FULL = "full"
    PROTOCOL = "protocol"
    UNANSWERED = "unanswered"
    MEMORY = "memory"
    IDLE = "idle"
    LEFT = "left"


class PhaseKeys(Protocol):
    """Onion keys of the node; see `node.circuit.keys.phase`."""

    def public(self, phase: int) -> bytes:
        """Public key of a phase (u24)."""

    def exchange(self, phase: int, peer: bytes) -> bytes:
        """X25519 with the key of a phase that is accepted now."""


@dataclass(frozen=True, slots=True)
class _PhaseKey:
    """One of them, to open payloads with."""

    keys: PhaseKeys
    phase: int
    public: bytes

    def exchange(self, peer: bytes) -> bytes:
        """X25519 with it."""
        return self.keys.exchange(self.phase, peer)


class MixExit:
    """The tunnels of one exit.

    Args:
        keys: its onion keys.
        parameters: network parameters in force, as a call because holders may change them.
        begins_at: whether a node (registry index) may be a first mix in a key phase (u24).
        random: source of random bytes.

    Attributes:
        dropped: frames and tunnels by cause.
        packets_sent: packets handed out.
        blocks_dropped: reply blocks not kept because a tunnel had enough.
        memory_bytes: what all tunnels make the exit hold.
    """

    def __init__(
        self,
        keys: PhaseKeys,
        parameters: Callable[[], NetworkParameters],
        begins_at: Callable[[int, int], bool],
        random: RandomBytes,
    ) -> None:
        self._keys = keys
        self._parameters = parameters
        self._begins_at = begins_at
        self._actions: Journal[Action] = Journal(DeliverData)
        self._tunnels: OrderedDict[bytes, Terminal] = OrderedDict()
        self._handles: dict[int, Terminal] = {}
        self._opened = ReplayFilter(REPLAY_SLOTS)
        self._tag_key = random(32)
        self._refusals: deque[Packet] = deque()
        self._turns = Turns()
        self._sizes: dict[int, int] = {}
        self._last = FIRST_HANDLE
        self._now = 0.0
        self._phase = -1
        self.dropped: Counter[Cause] = Counter()
        self.packets_sent = 0
        self.blocks_dropped = 0
        self.memory_bytes = 0

    def __len__(self) -> int:
        return len(self._tunnels)

    @property
    def streams(self) -> int:
        """Open streams."""
        return sum(len(tunnel.ends) for tunnel in self._tunnels.values())

    # --- what comes in ------------------------------------------------------------------------

    def receive(self, delivery: Delivery, phase: int, now: float) -> None:
        """Take a delivery to the address that is an onion key of this node.

        Args:
            delivery: what came.
            phase: current key phase, u24.
            now: seconds.
        """
        self._now = now
        try:
            key = _PhaseKey(self._keys, delivery.phase, self._keys.public(delivery.phase))
            frame = decode_tunnel_frame(open_frame(delivery.payload, key))
        except RemoteProtocolError:
            self.dropped[Cause.UNREADABLE] += 1
            return
        found = self._tunnel_of(frame, delivery.phase)
        if isinstance(found, Cause):
            self.dropped[found] += 1
            self._refuse(frame, phase)
        else:
            self._take(found, frame)

    def _tunnel_of(self, frame: TunnelFrame, sealed_in: int) -> Terminal | Cause:
        """The tunnel of a frame, a new one if it opens one.

        Whoever hands an old first frame in again must not make us connect again, so each tunnel is
        opened once in the life of a key.
        """
        tunnel = self._tunnels.get(frame.tunnel)
        admission = Admission.REPLAYED
        if not frame.flags & Flag.OPENED:
            tag = keyed(self._tag_key, frame.tunnel, 16)
            admission = self._opened.admit(sealed_in, tag)
        if tunnel is not None:
            return tunnel
        if frame.flags & Flag.OPENED:
            return Cause.UNKNOWN
        if admission is Admission.REPLAYED:
            return Cause.REPLAYED
        if admission is Admission.FULL or not self._make_room():
            return Cause.FULL
        self._last += 1
        tunnel = Terminal(self._last, frame.tunnel, self._parameters, self._actions, self._now)
        self._handles[tunnel.handle] = self._tunnels[frame.tunnel] = tunnel
        return tunnel

    def _make_room(self) -> bool:
        """Let a tunnel without streams go if there are too many; false if all have some."""
        if len(self._tunnels) < MAX_TUNNELS:
            return True
        unused = next((each for each in self._tunnels.values() if not len(each.ends)), None)
        if unused is not None:
            self._end(unused, Cause.IDLE)
        return unused is not None

    def _take(self, tunnel: Terminal, frame: TunnelFrame) -> None:
        self._tunnels.move_to_end(tunnel.tunnel_id)
        dropped = tunnel.dropped
        try:
            tunnel.receive(frame, self._now)
        except RemoteProtocolError:
            self._end(tunnel, Cause.PROTOCOL)
            return
        self.blocks_dropped += tunnel.dropped - dropped
        if frame.flags & Flag.LAST:
            self._end(tunnel, Cause.LEFT)
            return
        self._turns.ready(tunnel.handle)
        self._weigh(tunnel)

    def _refuse(self, frame: TunnelFrame, phase: int) -> None:
        """Tell a client that its tunnel is not known."""
        usable = next((surb for surb in frame.blocks if self._is_usable(surb, phase)), None)
        if usable is not None and len(self._refusals) < MAX_REFUSALS:
            reply = TunnelReply(Flag.GONE, 0, 0, Seen())
            self._refusals.append((usable.first_index, usable.use(reply.encode())))

    def tick(self, phase: int, now: float) -> None:
        """Forget silent clients, dead blocks and what keys that are gone opened; call each second.

        Args:
            phase: current key phase, u24.
            now: seconds.
        """
        self._now = now
        if phase != self._phase:
            self._phase = phase
            for tunnel in self._tunnels.values():
                tunnel.advance(phase)
        while self._tunnels:
            tunnel = next(iter(self._tunnels.values()))
            if tunnel.heard_at + IDLE_S > self._now:
                break
            self._end(tunnel, Cause.IDLE)
        self._opened.forget_unless(self._is_held)

    def _is_held(self, phase: int) -> bool:
        try:
            self._keys.public(phase)
        except CryptoError:
            return False
        return True

    def take_actions(self) -> list[Action]:
        """What the node is to do, since the last call."""
        return self._actions.drain()

    def close(self) -> None:
        """The node stops: every stream ends."""
        for tunnel in list(self._tunnels.values()):
            self._end(tunnel, Cause.LEFT)

    # --- what goes out ------------------------------------------------------------------------

    @property
    def next_at(self) -> float | None:
        """When `packets` has something to give, in seconds; None if nothing waits."""
        return self._now if self._turns.is_ready or self._refusals else self._turns.next_at

    def packets(self, phase: int, now: float) -> list[Packet]:
        """Return packets to hand to first mixes at `now`, at most 64; tunnels take turns.

        Args:
            phase: current key phase, u24.
            now: seconds.
        """
        self._now = now
        self._turns.advance(now)
        packets: list[Packet] = []
        while self._refusals and len(packets) < BATCH:
            packets.append(self._refusals.popleft())
        while self._turns.is_ready and len(packets) < BATCH:
            packets += self._speak(self._turns.take(), phase)
        self.packets_sent += len(packets)
        return packets

    def _speak(self, handle: int, phase: int) -> list[Packet]:
        """The next packet of a tunnel, if it has one."""
        tunnel = self._handles.get(handle)
        if tunnel is None:
            return []
        found = tunnel.next_reply(self._now, lambda surb: self._is_usable(surb, phase))
        for number in tunnel.resumed():
            self._actions.add(ResumeStream(handle, number))
        self._weigh(tunnel)
        if found is not None:
            self._turns.ready(handle)
            surb, reply = found
            return [(surb.first_index, surb.use(reply.encode()))]
        if tunnel.has_failed:
            self._end(tunnel, Cause.UNANSWERED)
        elif tunnel.next_at is not None:
            self._turns.alarm(handle, tunnel.next_at)
        return []

    def _is_usable(self, surb: Surb, phase: int) -> bool:
        """Whether mixes take a block, and it leads to a first mix: blocks come from strangers."""
        return surb.is_usable(phase) and self._begins_at(surb.first_index, surb.phase)

    # --- what the node says of connections: `node.exit.streams.StreamCore` ---------------------

    def stream_connected(
        self, circuit: int, stream: int, address: bytes, now: float
    ) -> list[Action]:
        """The destination answered; `address` is 4 or 16 bytes."""
        self._now = now
        self._with(circuit, lambda tunnel: tunnel.ends.connected(stream, address))
        return self.take_actions()

    def stream_data(self, circuit: int, stream: int, data: bytes) -> int:
        """Queue data for the client; returns how much was taken."""
        tunnel = self._handles.get(circuit)
        if tunnel is None:
            return 0
        self._turns.ready(circuit)
        return tunnel.write(stream, data)

    def stream_consumed(self, circuit: int, stream: int, count: int) -> None:
        """The destination took `count` bytes."""
        now, pressed = self._now, 2 * self.memory_bytes > MEMORY_BYTES
        self._with(
            circuit, lambda tunnel: tunnel.ends.consumed(stream, count, now, pressed=pressed)
        )

    def stream_ended(self, circuit: int, stream: int, reason: EndReason) -> None:
        """The destination ended its direction (DONE) or broke the stream."""
        self._with(circuit, lambda tunnel: tunnel.ends.ended(stream, reason))

    def resolved(self, circuit: int, stream: int, answers: Sequence[Answer]) -> None:
        """A name has answers."""
        kept = tuple(answers)
        self._with(circuit, lambda tunnel: tunnel.ends.resolved(stream, kept))

    def _with(self, handle: int, change: Callable[[Terminal], None]) -> None:
        tunnel = self._handles.get(handle)
        if tunnel is None:
            return
        try:
            change(tunnel)
        except RemoteProtocolError:
            self._end(tunnel, Cause.PROTOCOL)
        else:
            self._turns.ready(handle)

    # --- ends -----------------------------------------------------------------------------------

    def _weigh(self, tunnel: Terminal) -> None:
        """Count what a tunnel holds; beyond the cap the one that holds most goes."""
        size = tunnel.memory_bytes
        self.memory_bytes += size - self._sizes.get(tunnel.handle, 0)
        self._sizes[tunnel.handle] = size
        if self.memory_bytes > MEMORY_BYTES:
            largest = max(self._sizes, key=self._sizes.__getitem__)
            self._end(self._handles[largest], Cause.MEMORY)

    def _end(self, tunnel: Terminal, cause: Cause) -> None:
        self.dropped[cause] += 1
        self.memory_bytes -= self._sizes.pop(tunnel.handle, 0)
        del self._tunnels[tunnel.tunnel_id], self._handles[tunnel.handle]
        self._turns.forget(tunnel.handle)
        tunnel.abandon()
