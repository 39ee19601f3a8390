"""A client's tunnel and an exit joined by mixes that lose, delay, reorder and double what passes.

Frames are encoded and decoded; reply blocks are told apart by their keys, and used once.
"""

from heapq import heappop, heappush
from itertools import count

from node.circuit.actions import DeliverData, EndStream, OpenStream, ResolveName, ResumeStream
from node.circuit.journal import Journal
from node.circuit.messages import EndReason
from node.circuit.origin_streams import new_events
from node.mix.streams.terminal import Terminal
from node.mix.streams.tunnel import Tunnel
from node.mix.streams.wire import decode_tunnel_frame, decode_tunnel_reply
from node.mix.surb import Surb
from qnet.parameters import NetworkParameters

PARAMETERS = NetworkParameters.profile("main")
WINDOW_BYTES = 1 << 20
SLOT_S = 1 / 16
HOPS = 3
HOP_S = 0.03


def block(number):
    return Surb(5, 1, bytes(240), number.to_bytes(32, "big"))


class Server:
    """A destination: takes what comes, sends what it is told, reads no faster than it may."""

    def __init__(self, answer=b"", *, echoes=False):
        self.got = bytearray()
        self.answer = bytearray(answer)
        self.echoes = echoes
        self.is_done = False
        self.end = None


class Simulation:
    """One tunnel; `random` gives all times and losses again."""

    def __init__(self, random, *, loss=0.0, doubled=0.0, slot_s=SLOT_S):
        self.random, self.loss, self.doubled, self.slot_s = random, loss, doubled, slot_s
        self.now = 1000.0
        self.events, self.actions = new_events(), Journal(DeliverData)
        self.tunnel = Tunnel(1, random.randbytes(16), 7, self.events, self.now)
        self.terminal = Terminal(
            9, self.tunnel.tunnel_id, lambda: PARAMETERS, self.actions, self.now
        )
        self.servers, self.heard, self.ended = {}, {}, {}
        self.connected, self.names = [], {}
        self.make_server = Server
        self.used, self.made = set(), count(1)
        self.frames = self.replies = 0
        self._heap, self._order = [], count()
        self._slot_at = self.now

    # what the application does

    def connect(self, data=b""):
        number = self.tunnel.open_stream("example.org", 443, WINDOW_BYTES, self.now)
        self.heard[number] = bytearray()
        rest = self.tunnel.send(number, data)
        assert rest == len(data)
        return number

    def upload(self, number, data):
        """Send as much as is taken; returns the rest."""
        return data[self.tunnel.send(number, data) :]

    # time

    def run(self, seconds, until=lambda: False):
        end = self.now + seconds
        while self.now < end and not until():
            at = self.terminal.next_at
            times = [self._slot_at, end] + ([self._heap[0][0]] if self._heap else [])
            times += [at] if at is not None else []
            self.now = max(self.now, min(times))
            while self._heap and self._heap[0][0] <= self.now:
                _, _, arrive = heappop(self._heap)
                arrive()
            if self._slot_at <= self.now:
                self._slot_at += self.random.expovariate(1 / self.slot_s)
                self._slot()
            self._speak()
            self._look()

    def _slot(self):
        frame = self.tunnel.next_frame(self.now)
        if frame is None:
            return
        blocks = [block(next(self.made)) for _ in range(self.tunnel.blocks_for(frame))]
        self.tunnel.blocks_sent(len(blocks), self.now)
        data = type(frame)(
            frame.tunnel, frame.flags, frame.number, frame.seen, frame.messages, blocks
        ).encode()
        self.frames += 1
        self._carry(
            lambda: self.terminal.receive(decode_tunnel_frame(data), self.now),
        )

    def _speak(self):
        while (found := self.terminal.next_reply(self.now, lambda _surb: True)) is not None:
            surb, reply = found
            is_replay = surb.reply_key in self.used
            assert self.doubled or not is_replay, "a reply block was used twice"
            self.used.add(surb.reply_key)
            data = reply.encode()
            self.replies += 1
            if is_replay:
                continue  # the first mix drops it
            self._carry(lambda data=data: self.tunnel.receive(decode_tunnel_reply(data), self.now))
        for number in self.terminal.resumed():
            self._push(number)

    def _carry(self, arrive):
        if self.random.random() < self.loss:
            return
        for _ in range(2 if self.random.random() < self.doubled else 1):
            delay = sum(self.random.expovariate(1 / HOP_S) for _ in range(HOPS))
            heappush(self._heap, (self.now + delay, next(self._order), arrive))

    # what the two owners do

    def _look(self):
        for action in self.actions.drain():
            self._act(action)
        for event in self.events.drain():
            self._hear(event)

    def _act(self, action):
        ends = self.terminal.ends
        number = action.stream
        if isinstance(action, OpenStream):
            self.servers[number] = self.make_server()
            ends.connected(number, b"\x01\x02\x03\x04")
            self._push(number)
        elif isinstance(action, ResolveName):
            self.names[number] = action.host
            ends.resolved(number, ())
        elif isinstance(action, DeliverData):
            server = self.servers[number]
            data = b"".join(action.chunks)
            server.got += data
            if server.echoes:
                server.answer += data
            ends.consumed(number, len(data), self.now, pressed=False)
            self._push(number)
        elif isinstance(action, EndStream):
            server = self.servers.get(number)
            if server is not None:
                server.end = action.reason
                self._push(number)
        else:
            assert isinstance(action, ResumeStream)

    def _push(self, number):
        """Let the destination send, as far as it may."""
        server = self.servers.get(number)
        if server is None or server.is_done:
            return
        taken = self.terminal.write(number, bytes(server.answer))
        del server.answer[:taken]
        if not server.answer and (not server.echoes or server.end is not None):
            server.is_done = True
            self.terminal.ends.ended(number, EndReason.DONE)

    def _hear(self, event):
        name = type(event).__name__
        if name == "StreamConnected":
            self.connected.append((event.stream, self.now))
        elif name == "StreamData":
            data = b"".join(event.chunks)
            self.heard[event.stream] += data
            self.tunnel.consumed(event.stream, len(data), self.now)
        elif name == "StreamEnded":
            self.ended[event.stream] = event.reason
