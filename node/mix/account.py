"""Who a client is in the mixnet, and what it learns.

Source: docs/spec/mixnet.md, sections Payloads and Messages.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from node.mix.address import MailAddress
from node.mix.frame import Fragment
from node.mix.mail import Mail
from node.mix.outbox import Ended
from qnet.crypto.keys import DhKey


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address of ours.

    Args:
        key: of the address.
        node_index: registry index of the node that keeps its mailbox.
    """

    key: DhKey
    node_index: int

    @property
    def address(self) -> MailAddress:
        """Where others write to."""
        return MailAddress(self.node_index, self.key.public)


@dataclass(frozen=True, slots=True)
class Account:
    """Who a client is in the mixnet.

    Args:
        key: of its address.
        mailbox_node: registry index of the node that keeps its mailbox.
        new_id: gives a fresh delivery id (16 bytes) that this node delivers to us; None while it
            gave us none, and then nothing that needs one is sent.
        loop_allowance_s: for the network, added to the delays of a loop.
        others: further addresses, at this node or at others.
    """

    key: DhKey
    mailbox_node: int
    new_id: Callable[[], bytes | None]
    loop_allowance_s: float = 5.0
    others: Sequence[Mailbox] = ()

    @property
    def address(self) -> MailAddress:
        """Where others write to."""
        return self.home.address

    @property
    def home(self) -> Mailbox:
        """The address, with its key."""
        return Mailbox(self.key, self.mailbox_node)

    def recipient(self, delivery_id: bytes, phase: int) -> Mailbox | None:
        """Which address has a delivery id (16 bytes) in a key phase (u24)."""
        for mailbox in (self.home, *self.others):
            if mailbox.address.delivery_id(phase) == delivery_id:
                return mailbox
        return None


@dataclass(frozen=True, slots=True)
class MailReceived:
    """A message to an address of ours; store it before asking for packets.

    Args:
        message_id: 16 bytes.
        mail: text and reply blocks.
        address: which address.
    """

    message_id: bytes
    mail: Mail
    address: MailAddress


@dataclass(frozen=True, slots=True)
class ReplyPart:
    """A part of an answer that is not complete; it comes once, so store it.

    Args:
        about: what the reply blocks were made for, 16 bytes.
        fragment: the part.
    """

    about: bytes
    fragment: Fragment


@dataclass(frozen=True, slots=True)
class ReplyReceived:
    """An answer to a message of ours.

    Args:
        about: what the reply blocks were made for, 16 bytes.
        text: the answer.
        message_id: of the answer, 16 bytes.
    """

    about: bytes
    text: bytes = field(repr=False)
    message_id: bytes


@dataclass(frozen=True, slots=True)
class AnswerLeft:
    """A part of an answer of ours was handed out to be sent, or its reply block was dead.

    Args:
        message_id: of the answer, 16 bytes.
        index: of the part, from 0.
        is_sent: whether it was handed out.
    """

    message_id: bytes
    index: int
    is_sent: bool


MailEvent: TypeAlias = MailReceived | ReplyPart | ReplyReceived | AnswerLeft | Ended[MailAddress]
