"""`python -m tools.bench.mix_load --home HOME`: a mix that also sends or takes a load when told.

It is a real node, and a real mix for everything that is not marked as load. The bench tells it over
`load.sock` in its home to send prepared packets to the mix under test, or to tell what came.
"""

from __future__ import annotations

import asyncio
import random
import struct
import time
from array import array
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from node import runtime
from node.config import NodeConfig
from node.htx.record import RecordType
from node.io.control import ControlServer
from node.io.endpoint import Link
from node.io.mixing import Mixing
from node.keys import NodeKeys
from node.mix.packet import PACKET_BYTES, PREFIX_BYTES, UNITS_PER_RECORD, units_of
from node.process import announce
from node.registration import find_registration
from qnet.errors import NetworkError
from tools.bench.mix_packets import DIGEST_BYTES, MARK, NAME_BYTES, judge
from tools.bench.node_process import run_node

SOCKET: Final = "load.sock"
PACKETS: Final = "packets.bin"
SENT: Final = "sent.bin"
CAME: Final = "came.bin"
CAME_ROW: Final = struct.Struct(f">d{NAME_BYTES}s{DIGEST_BYTES}s")
TURN_S: Final = 0.001
MOST_AT_ONCE: Final = 256
_MARK_END: Final = PREFIX_BYTES + len(MARK)


class LoadMixing(Mixing):
    """The mixnet side of a node, which keeps marked packets to itself."""

    came: list[tuple[float, bytes]]

    def received(self, link: Link, content: bytes) -> None:
        """Take marked packets; the rest is the node's."""
        now = time.monotonic()
        rest = []
        for next_index, packet in units_of(content):
            if packet[PREFIX_BYTES:_MARK_END] == MARK:
                self.came.append((now, packet))
            else:
                rest.append(next_index.to_bytes(4, "big") + packet)
        if rest:
            super().received(link, b"".join(rest))

    async def link_to(self, index: int) -> Link:
        """A link to a node."""
        found: asyncio.Future[Link] = asyncio.get_running_loop().create_future()

        def ready(link: Link | None, cause: str) -> None:
            if link is None:
                found.set_exception(NetworkError("no link to the mix under test", why=cause))
            else:
                found.set_result(link)

        self.links.pool.want(index, self.live.node(index).node_id, ready)
        return await found


async def _send(link: Link, packets: list[bytes], rate: float) -> array[float]:
    """Send at Poisson times; returns when each left."""
    gaps = (random.expovariate(rate) for _ in packets)
    times = list(accumulate(gaps))
    sent: array[float] = array("d")
    start = time.monotonic() + 2 * TURN_S
    while len(sent) < len(packets):
        now = time.monotonic()
        at = end = len(sent)
        while end < len(times) and times[end] <= now - start and end - at < MOST_AT_ONCE:
            end += 1
        for first in range(at, end, UNITS_PER_RECORD):
            units = packets[first : min(first + UNITS_PER_RECORD, end)]
            link.send_record(RecordType.PACKETS, b"".join(bytes(4) + unit for unit in units))
        if end > at:
            link.flush()
            sent.extend([now] * (end - at))
        await asyncio.sleep(TURN_S)
    return sent


async def _serve(home: Path, config: NodeConfig, keys: NodeKeys, stop: asyncio.Event) -> None:
    registration = await find_registration(config, keys.node_id)
    node = runtime.NodeRuntime(home, config, keys, registration)

    def mixing() -> LoadMixing:
        assert isinstance(node.mixing, LoadMixing)
        return node.mixing

    async def send(arguments: Mapping[str, Any]) -> Any:
        data = (home / PACKETS).read_bytes()
        packets = [data[at : at + PACKET_BYTES] for at in range(0, len(data), PACKET_BYTES)]
        link = await mixing().link_to(int(arguments["target"]))
        sent = await _send(link, packets, float(arguments["rate"]))
        (home / SENT).write_bytes(sent.tobytes())
        return {"sent": len(sent), "seconds": sent[-1] - sent[0]}

    async def came(arguments: Mapping[str, Any]) -> Any:
        taken, mixing().came = mixing().came, []
        alive = int(arguments["alive_bytes"])
        rows = [CAME_ROW.pack(at, *judge(packet, alive)) for at, packet in taken]
        (home / CAME).write_bytes(b"".join(rows))
        return {"came": len(rows)}

    def ready(facts: dict[str, Any]) -> None:
        mixing().came = []
        announce(facts)

    control = ControlServer({"send": send, "came": came})
    async with control.serve(home / SOCKET):
        await node.run(ready, stop)


def main() -> None:
    """Run the node of a home until SIGTERM."""
    with patch.object(runtime, "Mixing", LoadMixing):
        run_node(_serve, __doc__)


if __name__ == "__main__":
    main()
