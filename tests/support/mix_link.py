"""A client's link to its entry, for tests of the mixnet: hands in packets, takes deliveries."""

import asyncio
import secrets
import time
from collections import deque
from contextlib import asynccontextmanager

from node.htx.events import Role as LinkRole
from node.htx.record import RecordType
from node.io.endpoint import dial
from node.mix.envelope import FRAME_BYTES, open_frame, seal_frame
from node.mix.live_paths import LivePaths
from node.mix.mailbox_wire import GRANT, MailboxRequest, decode_grant, make_claim
from node.mix.packet import decode_delivery, encode_unit, units_of
from node.mix.route import build_packet
from node.view import address_of
from qnet.crypto.keys import DhKey
from qnet.epochs import phase_at


class MixLink:
    """Handler of one link."""

    def __init__(self, view, live, entry):
        self.view, self.live, self.entry = view, live, entry
        self.key = DhKey(secrets.token_bytes(32))
        self.deliveries = deque()
        self.grants = deque()
        self.came = asyncio.Event()
        self.closed = asyncio.Event()
        self.link = None

    # the link

    def link_opened(self, link):
        self.link = link

    def cells_received(self, link, cells):
        raise AssertionError("no cells are sent here")

    def record_received(self, link, kind, content):
        if kind is not RecordType.PACKETS:
            return
        for next_index, packet in units_of(content):
            assert next_index == 0
            if packet[0] == GRANT:
                self.grants.append(decode_grant(packet))
            else:
                self.deliveries.append((decode_delivery(packet), time.monotonic()))
        self.came.set()

    def link_writable(self, link):
        pass

    def link_closed(self, link, reason):
        self.closed.set()

    # what a test asks for

    @property
    def phase(self):
        return phase_at(time.time(), self.view.parameters.key_phase_s)

    def send(self, *units):
        self.link.send_record(RecordType.PACKETS, b"".join(units))

    async def next(self, queue, timeout_s=10.0):
        async with asyncio.timeout(timeout_s):
            while not queue:
                self.came.clear()
                await self.came.wait()
        return queue.popleft()

    async def ask(self, ids=0, *keys):
        phase = self.phase
        node_key = self.live.phase_key(self.entry, phase)
        claims = tuple(make_claim(key, self.entry, node_key, phase) for key in keys)
        self.send(encode_unit(0, MailboxRequest(phase, ids, claims).encode()))
        return await self.next(self.grants)

    def packet(self, delivery_id, *, node=None, frame=None, phase=None, to=None):
        """A packet of ours as a unit; to our own address by default."""
        phase = self.phase if phase is None else phase
        route = self.live.paths.route(phase, node or self.entry, delivery_id)
        frame = frame or secrets.token_bytes(FRAME_BYTES)
        payload = seal_frame(frame, (to or self.key).public, secrets.token_bytes)
        packet = build_packet(route, payload, secrets.token_bytes)
        return encode_unit(route.hops[0].index, packet)

    def open(self, delivery):
        return open_frame(delivery.payload, self.key)


@asynccontextmanager
async def mix_link(node, entry):
    """Dial an entry (a registry index) as a client that knows what `node` knows."""
    live = LivePaths(secrets.token_bytes)
    live.follow(node.view.held.consensus)
    node.view.on_change(live.follow)
    handler = MixLink(node.view, live, entry)
    link = await dial(
        address_of(live.node(entry)),
        identity=None,
        handler=handler,
        parameters=node.view.parameters,
        role=LinkRole.ENTRY,
    )
    try:
        yield handler
    finally:
        link.close()
