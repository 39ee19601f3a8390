"""Keys of a link across generations.

States and changes (g is the generation in use):

    SETTLED    start                -> OFFERED     send KEY_UPDATE(g+1)
    SETTLED    KEY_UPDATE(g+1)      -> SWITCHING   send KEY_UPDATE(g+1), KEY_SWITCH(g+1)
    OFFERED    KEY_UPDATE(g+1)      -> SWITCHING   send KEY_SWITCH(g+1)
    SWITCHING  KEY_SWITCH(g+1)      -> SETTLED

Everything else is a breach. KEY_SWITCH is the last record under the old key of its direction.
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final, Self

from node.htx.frames import KeyUpdate
from node.htx.record import RecordCipher, RecordOpener, RecordSealer
from node.htx.ticket import Random
from qnet.crypto.kdf import Label, derive_key
from qnet.crypto.keys import DhKey
from qnet.errors import RemoteProtocolError
from qnet.parameters import NetworkParameters

MAX_GENERATION: Final = (1 << 32) - 1


class RekeyState(Enum):
    """How far the change to the next generation has come."""

    SETTLED = "settled"
    OFFERED = "offered"
    SWITCHING = "switching"


@dataclass(frozen=True, slots=True)
class RekeyLimits:
    """When keys are replaced; the responder waits a tenth longer, so that one side starts.

    Attributes:
        age_s: a used key is replaced at this age.
        records: … or after so many records in one direction.
        sent_bytes: … or after so many bytes in one direction.
        gap_s: least time between two changes that volume does not call for.
        answer_s: the peer must finish a change within this time.
    """

    age_s: float
    records: int
    sent_bytes: int
    gap_s: float
    answer_s: float

    @classmethod
    def of(cls, parameters: NetworkParameters, *, initiator: bool) -> Self:
        """Limits of one side."""
        tenths = 10 if initiator else 11
        return cls(
            age_s=parameters.link_rekey_s * tenths / 10,
            records=parameters.link_rekey_records * tenths // 10,
            sent_bytes=parameters.link_rekey_bytes * tenths // 10,
            gap_s=parameters.link_rekey_s / 10,
            answer_s=max(parameters.link_handshake_s, parameters.link_rekey_s / 10),
        )


class KeySchedule:
    """Owns the root, the sealing key and the opening key of a link.

    Args:
        root: root key of generation 0, 32 bytes.
        initiator: whether this side dialled.
        limits: when to replace keys.
        random: source of random bytes.
        now: monotonic time, seconds.
        cipher: what the keys are used with, in every generation.
    """

    __slots__ = (
        "_changed_at",
        "_cipher",
        "_deadline",
        "_initiator",
        "_limits",
        "_next_opener",
        "_own",
        "_random",
        "_root",
        "generation",
        "opener",
        "rekeys",
        "sealer",
        "state",
    )

    def __init__(
        self,
        root: bytes,
        *,
        initiator: bool,
        limits: RekeyLimits,
        random: Random,
        now: float,
        cipher: RecordCipher = RecordCipher.CHACHA20_POLY1305,
    ) -> None:
        self._root = root
        self._cipher = cipher
        self._initiator = initiator
        self._limits = limits
        self._random = random
        self._own: DhKey | None = None
        self._next_opener: RecordOpener | None = None
        self._changed_at = now
        self._deadline = 0.0
        self.state = RekeyState.SETTLED
        self.generation = 0
        self.rekeys = 0
        self.sealer, self.opener = self._keys()

    def _keys(self) -> tuple[RecordSealer, RecordOpener]:
        initiator = derive_key(Label.HTX_DATA_INITIATOR, self._root)
        responder = derive_key(Label.HTX_DATA_RESPONDER, self._root)
        own, peer = (initiator, responder) if self._initiator else (responder, initiator)
        return RecordSealer(own, self._cipher), RecordOpener(peer, self._cipher)

    def _volume_over(self, records: int, volume: int) -> bool:
        sealer, opener = self.sealer, self.opener
        return (
            max(sealer.records, opener.records) >= records
            or max(sealer.sealed_bytes, opener.opened_bytes) >= volume
        )

    def due(self, now: float) -> bool:
        """Whether this side should start a change now; keys never used need none."""
        if self.state is not RekeyState.SETTLED:
            return False
        limits = self._limits
        if self._volume_over(limits.records, limits.sent_bytes):
            return True
        return now - self._changed_at >= limits.age_s and self._volume_over(1, 1)

    def expired(self, now: float) -> bool:
        """Whether the peer failed to finish a change in time."""
        return self.state is not RekeyState.SETTLED and now >= self._deadline

    def next_tick(self) -> float:
        """When `due` or `expired` should be asked again; infinite while the key is unused."""
        if self.state is not RekeyState.SETTLED:
            return self._deadline
        return self._changed_at + self._limits.age_s if self._volume_over(1, 1) else math.inf

    def start(self, now: float) -> KeyUpdate:
        """Begin a change; the caller sends the update."""
        self._own = DhKey(self._random(32))
        self.state = RekeyState.OFFERED
        self._deadline = now + self._limits.answer_s
        return KeyUpdate(self.generation + 1, self._own.public)

    def receive_update(self, update: KeyUpdate, now: float) -> KeyUpdate | None:
        """Take the peer's share; return ours if it was not sent yet.

        The caller sends it, then KEY_SWITCH, and calls `switch_sealer`.

        Raises:
            RemoteProtocolError: wrong generation, an update within an update, or too soon.
            CryptoError: the share has low order.
        """
        if self.state is RekeyState.SWITCHING or update.generation != self.generation + 1:
            raise RemoteProtocolError("unexpected KEY_UPDATE")
        answer = None
        if self.state is RekeyState.SETTLED:
            limits = self._limits
            busy = self._volume_over(limits.records // 2, limits.sent_bytes // 2)
            if now - self._changed_at < limits.gap_s and not busy:
                raise RemoteProtocolError("KEY_UPDATE too soon")
            answer = self.start(now)
        assert self._own is not None
        shared = self._own.exchange(update.share)
        first, second = (
            (self._own.public, update.share)
            if self._initiator
            else (update.share, self._own.public)
        )
        self._root = derive_key(Label.HTX_REKEY, self._root + shared + first + second)
        self._own = None
        self.state = RekeyState.SWITCHING
        return answer

    def switch_sealer(self) -> None:
        """Use the next sealing key; KEY_SWITCH was the last record under the old one."""
        self.sealer, self._next_opener = self._keys()

    def rest(self) -> None:
        """Drop the ciphers until they are used again; the keys stay."""
        self.sealer.rest()
        self.opener.rest()

    def erase(self) -> None:
        """Let go of all keys; the link is closed."""
        self._root, self._own, self._next_opener = b"", None, None
        for name in ("sealer", "opener"):
            if hasattr(self, name):
                delattr(self, name)

    def receive_switch(self, generation: int, now: float) -> None:
        """Use the next opening key; the change is complete.

        Raises:
            RemoteProtocolError: no change is going on, or another generation.
        """
        opener = self._next_opener
        if opener is None or generation != self.generation + 1:
            raise RemoteProtocolError("unexpected KEY_SWITCH")
        self.opener, self._next_opener = opener, None
        self.generation = generation
        self.rekeys += 1
        self._changed_at = now
        self.state = RekeyState.SETTLED
