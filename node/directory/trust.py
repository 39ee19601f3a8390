"""From which committee a client's trust starts, and how long it may rest on it.

Signatures of members prove something while their bonds are locked. So a set that was confirmed
longer ago than `MAX_TRUST_AGE_S` (by the bundle, the chain, or a consensus in use) certifies
nothing any more: the client needs the chain or a new release.

Source: docs/spec/directory.md, section Trust.
"""

from dataclasses import dataclass
from typing import Final, Self

from node.errors import Stage, TrustAgeError
from qnet import cbor
from qnet.errors import DecodeError
from qnet.messages.fields import U64_MAX, Fields
from qnet.messages.succession import (
    MAX_CHANGE_BYTES,
    MAX_CHANGES,
    CommitteeHistory,
    decode_changes,
    encode_changes,
)
from qnet.messages.trust import CommitteeTrust

MAX_TRUST_AGE_S: Final = 21 * 86_400
STATE_VERSION: Final = 1
MAX_STATE_BYTES: Final = MAX_CHANGES * (MAX_CHANGE_BYTES + 8) + 256
_KEYS: Final = frozenset({"v", "start", "confirmed", "changes"})


@dataclass(frozen=True, slots=True)
class TrustState:
    """What a client trusts.

    Args:
        history: the sets.
        confirmed_at: when the last one was last confirmed, unix seconds; 0 if it is not known.
    """

    history: CommitteeHistory
    confirmed_at: int

    def confirmed(self, at: int) -> "TrustState":
        """The same, confirmed by a consensus of this time (unix seconds)."""
        return TrustState(self.history, max(self.confirmed_at, at))

    def check_age(self, now: float) -> None:
        """Refuse to start from a set that was confirmed too long ago.

        Raises:
            TrustAgeError: says how old it is and what helps.
        """
        age = now - self.confirmed_at
        if age <= MAX_TRUST_AGE_S:
            return
        known = f"was confirmed {age / 86_400:.0f} days ago" if self.confirmed_at else "has no date"
        raise TrustAgeError(
            Stage.BUNDLE,
            "the committee that this client knows is too old to start from",
            why=f"it {known}; {MAX_TRUST_AGE_S // 86_400} days are the limit",
            try_=(
                "install a new release of qnet, or fetch a new network.json",
                "set [chain] rpc in client.toml, so that the committee is read from the chain",
                "check this machine's clock",
            ),
        )

    def encode(self) -> bytes:
        """What is kept between runs."""
        return cbor.dumps(
            {
                "v": STATE_VERSION,
                "start": self.history.start.hash,
                "confirmed": self.confirmed_at,
                "changes": encode_changes(self.history.changes),
            }
        )

    @classmethod
    def decode(cls, data: bytes, start: CommitteeTrust) -> Self:
        """Read what was kept, verifying every change again.

        Args:
            data: the file.
            start: set of the bundle.

        Raises:
            RemoteProtocolError: malformed, or it starts from another set.
        """
        fields = Fields(
            cbor.loads(data, max_bytes=MAX_STATE_BYTES, max_depth=1), _KEYS, "committee state"
        )
        fields.uint("v", STATE_VERSION, minimum=STATE_VERSION)
        if fields.octets("start", 32) != start.hash:
            raise DecodeError("committee state: of another bundle")
        history = CommitteeHistory(start)
        encoded = fields.blob("changes", multiple=1, maximum=MAX_STATE_BYTES)
        for signed in decode_changes(encoded):
            history = history.extended(signed)
        return cls(history, fields.uint("confirmed", U64_MAX))
