"""What a client keeps of messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from node.mix.account import Mailbox
from node.mix.surb import ReplySecret, Surb


class State(StrEnum):
    """How far a message or an answer of ours is."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    """The recipient has it."""
    SENT = "sent"
    """An answer left; nobody tells whether it came."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """An address of ours.

    Args:
        number: counts from 1.
        mailbox: its key and node; None when it was given up.
        text: what people write to.
        made_at: unix time, seconds.
    """

    number: int
    mailbox: Mailbox | None = field(repr=False)
    text: str
    made_at: float


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message of ours.

    Args:
        message_id: 16 bytes.
        recipient: address, as text.
        text: what it says; empty once it ended.
        replies: reply blocks that it shall have.
        body: as it was sent before, with its reply blocks; empty if it never was.
        state: how far it is.
        rounds: times that every repetition was in vain.
        next_at: unix time of the next round.
        made_at: unix time, seconds.
        tried_at: unix time at which the last round began; 0 if there was none.
        why: what stands in the way.
    """

    message_id: bytes
    recipient: str
    text: bytes = field(repr=False)
    replies: int
    body: bytes = field(repr=False)
    state: State
    rounds: int
    next_at: float
    made_at: float
    tried_at: float
    why: str


@dataclass(frozen=True, slots=True)
class Awaited:
    """A reply block of ours that was given away with a message.

    Args:
        delivery_id: 16 bytes.
        secret: what opens its answer.
        message_id: of the message, 16 bytes.
    """

    delivery_id: bytes
    secret: ReplySecret
    message_id: bytes


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that came.

    Args:
        number: counts from 1.
        address: of ours that it came to; empty for an answer.
        about: id of our message that it answers, 16 bytes; empty for none.
        text: what it says.
        received_at: unix time, seconds.
        blocks: reply blocks not used yet.
    """

    number: int
    address: str
    about: bytes
    text: bytes = field(repr=False)
    received_at: float
    blocks: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of ours.

    Args:
        message_id: 16 bytes.
        number: of the message that it answers.
        text: what it says; empty once it ended.
        state: how far it is.
        surbs: reply blocks that it uses, once they are chosen.
        made_at: unix time, seconds.
        why: why it failed.
    """

    message_id: bytes
    number: int
    text: bytes = field(repr=False)
    state: State
    surbs: tuple[Surb, ...]
    made_at: float
    why: str
