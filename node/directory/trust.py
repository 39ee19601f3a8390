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
from qnet.crypto.keys import ADDRESS_BYTES
from qnet.messages.fields import U64_MAX, Fields
from qnet.messages.succession import (
    MAX_CHANGE_BYTES,
    MAX_CHANGES,
    CommitteeHistory,
    decode_changes,
    encode_changes,
)
from qnet.messages.trust import MAX_MEMBERS, CommitteeTrust

MAX_TRUST_AGE_S: Final = 21 * 86_400
STATE_VERSION: Final = 1
MAX_STATE_BYTES: Final = MAX_CHANGES * (MAX_CHANGE_BYTES + 8) + 2_048
_KEYS: Final = frozenset(
    {"v", "bundle", "chain", "committee", "signers", "quorum", "confirmed", "changes"}
)


def check_age(confirmed_at: int, now: float) -> None:
    """Refuse to start from a committee that was confirmed too long ago.

    Args:
        confirmed_at: when the chain or a consensus in use confirmed it, unix seconds; 0 for never.
        now: local clock, unix seconds.

    Raises:
        TrustAgeError: says how old it is and what helps.
    """
    age = now - confirmed_at
    if age <= MAX_TRUST_AGE_S:
        return
    known = f"was confirmed {age / 86_400:.0f} days ago" if confirmed_at else "has no date"
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


@dataclass(frozen=True, slots=True)
class TrustState:
    """What a client keeps about the committee.

    Args:
        bundle: hash of the set in the bundle it began with, 32 bytes: another bundle starts anew.
        history: the sets trusted.
        confirmed_at: when the last one was last confirmed, unix seconds.
    """

    bundle: bytes
    history: CommitteeHistory
    confirmed_at: int

    def encode(self) -> bytes:
        """What is kept between runs."""
        start = self.history.start
        return cbor.dumps(
            {
                "v": STATE_VERSION,
                "bundle": self.bundle,
                "chain": start.chain_id,
                "committee": start.committee,
                "signers": b"".join(start.signers),
                "quorum": start.quorum,
                "confirmed": self.confirmed_at,
                "changes": encode_changes(self.history.changes),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what was kept, verifying every change again.

        Raises:
            RemoteProtocolError: malformed, or a change is not certified.
        """
        value = cbor.loads(data, max_bytes=MAX_STATE_BYTES, max_depth=1)
        fields = Fields(value, _KEYS, "committee state")
        fields.uint("v", STATE_VERSION, minimum=STATE_VERSION)
        signers = fields.blob("signers", multiple=ADDRESS_BYTES, maximum=MAX_MEMBERS)
        start = CommitteeTrust(
            fields.uint("chain", U64_MAX, minimum=1),
            fields.octets("committee", ADDRESS_BYTES),
            tuple(
                signers[place : place + ADDRESS_BYTES]
                for place in range(0, len(signers), ADDRESS_BYTES)
            ),
            fields.uint("quorum", MAX_MEMBERS, minimum=1),
        )
        history = CommitteeHistory(start)
        for signed in decode_changes(fields.blob("changes", multiple=1, maximum=MAX_STATE_BYTES)):
            history = history.extended(signed)
        return cls(fields.octets("bundle", 32), history, fields.uint("confirmed", U64_MAX))
