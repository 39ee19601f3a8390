"""`qnet bench mix`: what unwrapping a mix packet costs on one core, beside other formats.

QNet and its peers take turns. QNet's figure covers everything between bytes and bytes, the replay
check included; a peer's covers parsing and unwrapping, no replay check. Packets are made before
the time is taken, and each is followed to its end and compared. The time is processor time of the
thread, which a busy machine changes less than time on the clock.
"""

from __future__ import annotations

import secrets
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from node.circuit.keys.phase import PhaseKeyring
from node.mix.envelope import FRAME_BYTES, open_frame, seal_frame
from node.mix.packet import LAYERS, PAYLOAD_BYTES, REPLAY_TAG_BYTES
from node.mix.replay import ReplayFilter
from node.mix.route import MixHop, Route, build_packet
from node.mix.unwrap import Deliver, Forward, Result, Unwrapper
from qnet.cli.output import say
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError
from tools.bench.compare import PEER, QNET, Pair
from tools.bench.machine import machine
from tools.bench.mix_peer import Peer, PeerMissingError, katzenpost, nym, running, sphinxmix

BATCH_PACKETS: Final = 64
SAMPLE_PACKETS: Final = 256
"""Packets in one sample, so that what ran before it in the caches counts little."""
FEW: Final = 8
"""Operations in a sample of what a client does."""
REMEMBERED: Final = 1 << 18
"""Packets that each mix has seen before the bench, so that its replay table is one in use."""
PHASE: Final = 1
MAILBOX_NODE: Final = LAYERS + 1
EXCHANGE: Final = "X25519 alone"
UNWRAP: Final = "unwrap at mix 1"
OPTIONAL: Final = {"nym": nym, "katzenpost": katzenpost}
"""Peers that are left out where they cannot be built."""
_MICROS: Final = 1e6


@dataclass(frozen=True, slots=True)
class _Mix:
    """One mix of the bench."""

    node_id: bytes
    keyring: PhaseKeyring
    unwrapper: Unwrapper


class _Route:
    """Three mixes, and packets through them."""

    def __init__(self) -> None:
        self.mixes = [self._mix(layer) for layer in range(1, LAYERS + 1)]
        hops = [
            MixHop(index, mix.node_id, mix.keyring.public(PHASE), 30)
            for index, mix in enumerate(self.mixes, 1)
        ]
        self.route = Route(PHASE, hops, MAILBOX_NODE, secrets.token_bytes(16))

    @staticmethod
    def _mix(layer: int) -> _Mix:
        node_id, keyring, replays = secrets.token_bytes(32), PhaseKeyring(PHASE), ReplayFilter()
        for _ in range(REMEMBERED):
            replays.admit(PHASE, secrets.token_bytes(REPLAY_TAG_BYTES))
        layers = [layer]
        unwrapper = Unwrapper(node_id, keyring, lambda _phase: layers, replays, secrets.token_bytes)
        return _Mix(node_id, keyring, unwrapper)

    def carry(self, count: int) -> list[float]:
        """Take fresh packets through all mixes; microseconds for one at each.

        Raises:
            CryptoError: one did not arrive as it was sent.
        """
        payloads = [secrets.token_bytes(PAYLOAD_BYTES) for _ in range(count)]
        packets = [build_packet(self.route, data, secrets.token_bytes) for data in payloads]
        costs = []
        for position, mix in enumerate(self.mixes):
            results: list[Result] = []
            start = time.thread_time()
            for first in range(0, count, BATCH_PACKETS):
                results += mix.unwrapper.unwrap(packets[first : first + BATCH_PACKETS])
            costs.append((time.thread_time() - start) / count * _MICROS)
            if position < LAYERS - 1:
                packets = [result.packet for result in results if isinstance(result, Forward)]
        arrived = [result.delivery.payload for result in results if isinstance(result, Deliver)]
        if arrived != payloads:
            raise CryptoError
        return costs


def run(repeats: int = 50, *, beside_peers: bool = False) -> dict[str, Any]:
    """Measure.

    Args:
        repeats: samples of each figure; each is the mean over 256 packets in batches of 64.
        beside_peers: measure sphinxmix too, and the formats of Nym and Katzenpost where they can
            be built.

    Raises:
        CryptoError: a packet of QNet did not arrive as it was sent.
        NetworkError: sphinxmix cannot be installed, or lost a message.
    """
    with ExitStack() as stack:
        peers: list[Peer] = []
        absent: dict[str, str] = {}
        if beside_peers:
            peers.append(stack.enter_context(running("sphinxmix", sphinxmix())))
            for name, build in OPTIONAL.items():
                try:
                    peers.append(stack.enter_context(running(name, build())))
                except PeerMissingError as error:
                    absent[name] = error.why
        ours, theirs = _measure(peers, repeats)
    return {
        "machine": machine(),
        "batch_packets": BATCH_PACKETS,
        "sample_packets": SAMPLE_PACKETS,
        "unwrap_over_x25519": _over(ours),
        "peers_not_measured": absent,
        "results": _rows(ours, theirs),
    }


def _measure(
    peers: Sequence[Peer], repeats: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Samples by name, of QNet and of the peers, taken in turn."""
    route, ours, theirs = _Route(), dict[str, list[float]](), dict[str, list[float]]()
    route.carry(SAMPLE_PACKETS)
    for number in range(repeats):
        for layer, cost in enumerate(route.carry(SAMPLE_PACKETS), 1):
            ours.setdefault(f"unwrap at mix {layer}", []).append(cost)
        ours.setdefault(EXCHANGE, []).append(_exchange(SAMPLE_PACKETS))
        for peer in peers:
            for name, cost in peer.measure(SAMPLE_PACKETS).items():
                theirs.setdefault(name, []).append(cost)
        if number % FEW == 0:
            for name, cost in _client(route.route).items():
                ours.setdefault(name, []).append(cost)
    return ours, theirs


def _exchange(count: int) -> float:
    """Microseconds of one X25519 with a peer's bytes, as `unwrap` does it."""
    key = X25519PrivateKey.generate()
    shares = [X25519PrivateKey.generate().public_key().public_bytes_raw() for _ in range(count)]
    start = time.thread_time()
    for share in shares:
        key.exchange(X25519PublicKey.from_public_bytes(share))
    return (time.thread_time() - start) / count * _MICROS


def _client(route: Route) -> dict[str, float]:
    """What a client does for a packet."""
    payload, frame = secrets.token_bytes(PAYLOAD_BYTES), secrets.token_bytes(FRAME_BYTES)
    recipient = DhKey(secrets.token_bytes(32))
    sealed = [seal_frame(frame, recipient.public, secrets.token_bytes) for _ in range(FEW)]
    opened: list[bytes] = []
    costs = {
        "client builds a packet": _time(lambda: build_packet(route, payload, secrets.token_bytes)),
        "client seals to an address": _time(
            lambda: seal_frame(frame, recipient.public, secrets.token_bytes)
        ),
        "recipient opens": _time(lambda: opened.append(open_frame(sealed.pop(), recipient))),
    }
    if opened != [frame] * FEW:
        raise CryptoError
    return costs


def _time(work: Callable[[], object]) -> float:
    start = time.thread_time()
    for _ in range(FEW):
        work()
    return (time.thread_time() - start) / FEW * _MICROS


def _over(ours: dict[str, list[float]]) -> float:
    """Unwrapping over X25519 of the same turn, median."""
    ratios = [mine / alone for mine, alone in zip(ours[UNWRAP], ours[EXCHANGE], strict=True)]
    return round(statistics.median(ratios), 3)


def _rows(ours: dict[str, list[float]], theirs: dict[str, list[float]]) -> list[dict[str, Any]]:
    rows = []
    for name, samples in theirs.items():
        mine = EXCHANGE if name.startswith("x25519") else UNWRAP
        pair = Pair(f"{mine}, beside {name}", "us", samples={QNET: ours[mine], PEER: samples})
        rows.append(pair.row() | {"peer_best": round(min(samples), 3)})
    rows += [Pair(name, "us", samples={QNET: mine, PEER: []}).row() for name, mine in ours.items()]
    for row in rows:
        row["best"] = round(min(ours[row["name"].partition(", beside")[0]]), 3)
    return rows


def told(data: dict[str, Any]) -> None:
    """Say what the table does not."""
    say(f"unwrapping costs {data['unwrap_over_x25519']:g} X25519 of the same turn")
    for name, why in data["peers_not_measured"].items():
        say(f"{name} was not measured: {why}")
