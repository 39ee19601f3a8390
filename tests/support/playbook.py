"""Scripted exchanges with a circuit core that read like dialogue.

    play = RelayPlay()
    play >> create() << ConnectNext(…) >> link_ready() << Sent(NEXT, Command.CREATE)
    play.end()

`>>` lets something happen to the core under test, `<<` says what it must do next. What it does and
nobody expected fails at the next `>>` or at `end`. The other parties are scripted: they hold real
keys, so cells are read and shown as the messages they carry.
"""

import secrets
from collections import deque
from dataclasses import dataclass

from node.circuit.backward import BackwardLayer, ContentKey
from node.circuit.cell import (
    HEADER_BYTES,
    Command,
)
from node.circuit.keys.phase import PhaseKeyring
from node.circuit.layer import (
    ForwardOpener,
)
from node.circuit.messages import (
    EndReason,
    Message,
    MessageType,
    encode_begin,
    encode_message,
)
from node.circuit.rekey import HopRekey
from node.circuit.setup import (
    HopInfo,
    created_body,
    last_body,
    open_create,
)
from qnet.crypto.keys import DhKey
from qnet.parameters import NetworkParameters

PHASE = 1000
PARAMETERS = NetworkParameters.profile("main")
CLIENT, NEXT, ENTRY = "client", "next hop", "entry"
TAG_END = HEADER_BYTES + 16


@dataclass(frozen=True)
class Sent:
    """A cell that is not RELAY left towards somebody."""

    to: str
    command: Command


@dataclass(frozen=True)
class Tells:
    """The client told a hop these messages in one cell."""

    hop: int
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Heard:
    """The client read one cell: these messages, from this hop."""

    hop: int
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Granted:
    """Credit for cells went to somebody."""

    to: str
    cells: int


def tells(hop, *messages):
    return Tells(hop, messages)


def heard(hop, *messages):
    return Heard(hop, messages)


def begin(stream, host="a.example", port=80):
    return Message(MessageType.BEGIN, stream, encode_begin(host, port))


def data(stream, content):
    return Message(MessageType.DATA, stream, content)


def end(stream, reason=EndReason.DONE):
    return Message(MessageType.END, stream, bytes([reason]))


def message(kind, stream=0, content=b""):
    return Message(kind, stream, content)


class Playbook:
    """The dialogue; subclasses know whom it is with."""

    def __init__(self, parameters):
        self.now = 1_000_000.0
        self.parameters = parameters
        self.room = 1000
        self.minds_credit = False
        self._said = deque()

    def __rshift__(self, line):
        self.end()
        line(self)
        self._listen()
        return self

    def __lshift__(self, expected):
        assert self._said, f"expected {expected}, but nothing more is said"
        said = self._said.popleft()
        assert said == expected, f"said {said}, expected {expected}; then {list(self._said)}"
        return self

    def end(self):
        """Nothing is left that nobody expected."""
        assert not self._said, f"not expected: {list(self._said)}"

    def skip(self, kind):
        """Take out all of a kind that is not the matter here; return them."""
        found = [said for said in self._said if isinstance(said, kind)]
        self._said = deque(said for said in self._said if not isinstance(said, kind))
        return found

    def note(self, said):
        """The core did this; credit for cells only counts where it is the matter."""
        self._said.extend(one for one in said if self.minds_credit or not isinstance(one, Granted))


class Hop:
    """A scripted hop with real keys."""

    def __init__(self):
        self.node_id = secrets.token_bytes(32)
        self.keyring = PhaseKeyring(PHASE)

    def info(self, index):
        return HopInfo(index, self.node_id, self.keyring.public(PHASE))

    def open(self, body):
        """Take CREATE; return the body for the next hop."""
        self._opened = open_create(body, PHASE, self.node_id, self.keyring)
        return self._opened.next_body

    def answer(self, behind=None):
        """Return the CREATED body, with that of the next hop inside."""
        fresh = DhKey(secrets.token_bytes(32))
        keys = self._opened.answer(fresh)
        cipher = self._opened.routing.cipher
        self.opener = ForwardOpener(cipher, keys.layer)
        self.layer = BackwardLayer(cipher, keys.layer)
        self.content = ContentKey(cipher, keys.layer.backward)
        self.rekey = HopRekey(keys.root)
        return created_body(keys, fresh.public, last_body(keys) if behind is None else behind)

    def seal(self, messages, header):
        """Say messages in one backward cell."""
        left, right = self.content.seal(b"".join(encode_message(*one) for one in messages))
        return self.layer.wrap(left, right, header)

    def wrap(self, cell):
        return self.layer.wrap(cell[HEADER_BYTES:TAG_END], cell[TAG_END:], cell[:HEADER_BYTES])
