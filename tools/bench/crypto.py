"""`qnet bench crypto`: what one cell, one setup and one link handshake cost on one core.

Each sample is the mean over one batch, so that a batch fits the caches as a wake-up of a relay
does. What is measured is also checked: a cell that does not arrive fails the bench.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from node.circuit.backward import BackwardLayer, BackwardOpener, ContentKey
from node.circuit.cell import CONTENT_BYTES, relay_header
from node.circuit.keys.phase import PhaseKeyring
from node.circuit.layer import (
    AES_256_GCM,
    CHACHA20_POLY1305,
    MESSAGES_END,
    MESSAGES_START,
    Filler,
    ForwardOpener,
    ForwardSealer,
    LayerKeys,
    build_forward,
)
from node.circuit.setup import (
    HopInfo,
    PendingHop,
    build_create,
    created_body,
    last_body,
    open_create,
    open_created,
)
from node.htx.events import CLIENT
from node.htx.handshake import InitiatorHandshake, ResponderHandshake
from qnet.crypto.kem import KemKey, encapsulate
from qnet.crypto.keys import DhKey
from qnet.errors import CryptoError
from tools.bench.machine import Figure, machine

BATCH_CELLS: Final = 64
BATCH_SLOW: Final = 10
"""Repetitions of public-key operations in one sample."""
HOPS: Final = 3
PHASE: Final = 1
KIB: Final = 1024
_HEADER: Final = relay_header(1)
_NONCE: Final = bytes(12)
_MICROS: Final = 1e6


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to measure.

    Attributes:
        name: What.
        repetitions: How often `work` does it.
        work: Does it that many times.
    """

    name: str
    repetitions: int
    work: Callable[[], object]


def run(repeats: int = 200) -> dict[str, Any]:
    """Measure.

    Args:
        repeats: samples of each step.

    Raises:
        CryptoError: something that was measured did not give the right result.
    """
    figures = [*_steps_alone(repeats)]
    figures += [*_cells(CHACHA20_POLY1305, repeats), *_cells(AES_256_GCM, repeats)]
    figures += [*_setup(max(1, repeats // 10)), *_handshake(max(1, repeats // 10))]
    return {"machine": machine(), "results": [figure.row() for figure in figures]}


def _measure(steps: list[Step], repeats: int) -> list[Figure]:
    """Carry the steps out in turn, again and again; samples in microseconds."""
    samples: list[list[float]] = [[] for _ in steps]
    for _ in range(repeats):
        for step, collected in zip(steps, samples, strict=True):
            start = time.perf_counter()
            step.work()
            collected.append((time.perf_counter() - start) / step.repetitions * _MICROS)
    return [
        Figure(step.name, "us", collected) for step, collected in zip(steps, samples, strict=True)
    ]


def _repeat(name: str, count: int, call: Callable[[], object]) -> Step:
    def work() -> None:
        for _ in range(count):
            call()

    return Step(name, count, work)


def _steps_alone(repeats: int) -> list[Figure]:
    """The primitives, as the libraries give them."""
    key, data, large = secrets.token_bytes(32), bytes(2 * KIB), bytes(16 * KIB)
    chacha, gcm = ChaCha20Poly1305(key), AESGCM(key)
    context = Cipher(AES(key), CTR(bytes(16))).encryptor()

    def ctr() -> None:
        context.reset_nonce(bytes(16))
        context.update(data)

    ours, theirs = DhKey(secrets.token_bytes(32)), DhKey(secrets.token_bytes(32)).public
    kem = KemKey(secrets.token_bytes(64))
    _, ciphertext = encapsulate(kem.public)
    fast = [
        _repeat(
            "ChaCha20-Poly1305, 2 KiB", BATCH_CELLS, lambda: chacha.encrypt(_NONCE, data, None)
        ),
        _repeat(
            "ChaCha20-Poly1305, 16 KiB", BATCH_CELLS, lambda: chacha.encrypt(_NONCE, large, None)
        ),
        _repeat("AES-256-GCM, 2 KiB", BATCH_CELLS, lambda: gcm.encrypt(_NONCE, data, None)),
        _repeat("AES-256-GCM, 16 KiB", BATCH_CELLS, lambda: gcm.encrypt(_NONCE, large, None)),
        _repeat("AES-256-CTR, 2 KiB", BATCH_CELLS, ctr),
        _repeat("BLAKE3, 2 KiB", BATCH_CELLS, lambda: blake3(data).digest()),
    ]
    slow = [
        _repeat("X25519", BATCH_SLOW, lambda: ours.exchange(theirs)),
        _repeat("X25519 key pair", BATCH_SLOW, lambda: DhKey(secrets.token_bytes(32))),
        _repeat("ML-KEM-768 encapsulate", BATCH_SLOW, lambda: encapsulate(kem.public)),
        _repeat("ML-KEM-768 decapsulate", BATCH_SLOW, lambda: kem.decapsulate(ciphertext)),
    ]
    return _measure(fast, repeats) + _measure(slow, max(1, repeats // 4))


class _Circuit:
    """Client and three hops with equal keys, and the cells between them."""

    def __init__(self, cipher: int) -> None:
        keys = [LayerKeys(*(secrets.token_bytes(32) for _ in range(5))) for _ in range(HOPS)]
        self.sealers = [ForwardSealer(cipher, key) for key in keys]
        self.openers = [ForwardOpener(cipher, key) for key in keys]
        self.layers = [BackwardLayer(cipher, key) for key in keys]
        self.speaker = ContentKey(cipher, keys[-1].backward)
        self.client = BackwardOpener(
            [(BackwardLayer(cipher, key), ContentKey(cipher, key.backward)) for key in keys]
        )
        self.filler = Filler(secrets.token_bytes)
        self.messages = b"\x03" * (MESSAGES_END - MESSAGES_START)
        self.content = secrets.token_bytes(CONTENT_BYTES)
        self.cells: list[bytes] = []

    def build(self) -> None:
        self.cells = [
            build_forward(self.sealers, self.messages, self.filler, _HEADER)
            for _ in range(BATCH_CELLS)
        ]

    def relay_forward(self, position: int) -> None:
        onward: list[bytes] = []
        _check(self.openers[position].pass_on(iter(self.cells), _HEADER, onward) is None)
        self.cells = onward

    def receive_forward(self) -> None:
        opener = self.openers[-1]
        end = MESSAGES_START + len(self.messages)
        for cell in self.cells:
            _check(opener.open(cell)[MESSAGES_START:end] == self.messages)

    def speak(self) -> None:
        layer, speaker = self.layers[-1], self.speaker
        self.cells = [layer.wrap(*speaker.seal(self.content), _HEADER) for _ in range(BATCH_CELLS)]

    def relay_backward(self, position: int) -> None:
        wrap = self.layers[position].wrap
        self.cells = [wrap(cell[8:24], cell[24:], _HEADER) for cell in self.cells]

    def receive_backward(self) -> None:
        for cell in self.cells:
            _check(self.client.open(cell) == (HOPS - 1, self.content))


def _cells(cipher: int, repeats: int) -> Iterator[Figure]:
    """Cells of a circuit of three hops, in both directions."""
    name = {CHACHA20_POLY1305: "ChaCha20-Poly1305", AES_256_GCM: "AES-256-GCM"}[cipher]
    circuit = _Circuit(cipher)
    steps = [
        Step(f"forward cell, client builds ({name})", BATCH_CELLS, circuit.build),
        Step(f"forward cell, relay ({name})", BATCH_CELLS, lambda: circuit.relay_forward(0)),
        Step("", BATCH_CELLS, lambda: circuit.relay_forward(1)),
        Step(f"forward cell, exit opens ({name})", BATCH_CELLS, circuit.receive_forward),
        Step(f"backward cell, exit seals ({name})", BATCH_CELLS, circuit.speak),
        Step(f"backward cell, relay ({name})", BATCH_CELLS, lambda: circuit.relay_backward(1)),
        Step("", BATCH_CELLS, lambda: circuit.relay_backward(0)),
        Step(f"backward cell, client peels ({name})", BATCH_CELLS, circuit.receive_backward),
    ]
    return (figure for figure in _measure(steps, repeats) if figure.name)


def _setup(repeats: int) -> Iterator[Figure]:
    """A circuit of three hops, built and answered."""
    ids = [secrets.token_bytes(32) for _ in range(HOPS)]
    rings = [PhaseKeyring(PHASE, ahead=0) for _ in range(HOPS)]
    hops = [HopInfo(index + 1, ids[index], rings[index].public(PHASE)) for index in range(HOPS)]
    created: list[tuple[bytes, list[PendingHop]]] = []
    answers: list[bytes] = []

    def build() -> None:
        created[:] = [build_create(hops, PHASE, secrets.token_bytes) for _ in range(BATCH_SLOW)]

    def relay() -> None:
        """Opens CREATE and answers at the first hop, the others' work is alike."""
        answers.clear()
        for body, _ in created:
            opened = open_create(body, PHASE, ids[0], rings[0])
            fresh = DhKey(secrets.token_bytes(32))
            keys = opened.answer(fresh)
            answers.append(created_body(keys, fresh.public, last_body(keys)))

    def read() -> None:
        for body, (_, pending) in zip(answers, created, strict=True):
            _check(len(open_created(body, pending[:1])) == 1)

    return iter(
        _measure(
            [
                Step("setup of 3 hops, client builds CREATE", BATCH_SLOW, build),
                Step("setup, a hop opens CREATE and answers", BATCH_SLOW, relay),
                Step("setup, client reads one hop's answer", BATCH_SLOW, read),
            ],
            repeats,
        )
    )


def _handshake(repeats: int) -> Iterator[Figure]:
    """The hybrid Noise handshake of a link, both sides."""
    link_key = DhKey(secrets.token_bytes(32))
    peer = CLIENT

    def shake() -> None:
        initiator = InitiatorHandshake(link_key.public, b"bench", None, secrets.token_bytes)
        responder = ResponderHandshake([link_key], b"bench", lambda _: (), secrets.token_bytes)
        answer = responder.respond(initiator.start()[2:])
        last, secured = initiator.finish(answer[2:], peer)
        _check(responder.finish(last[2:]).root == secured.root)

    return iter(_measure([_repeat("link handshake, both sides", BATCH_SLOW, shake)], repeats))


def _check(right: bool) -> None:  # noqa: FBT001 - a condition, not a switch
    if not right:
        raise CryptoError
