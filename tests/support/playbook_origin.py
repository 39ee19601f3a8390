"""The playbook of a client: its hops are scripted."""

import secrets
from collections.abc import Sequence

from node.circuit.cell import (
    HEADER_BYTES,
    Command,
    decode_header,
    destroy_cell,
    encode_header,
    relay_header,
)
from node.circuit.flow import decode_credits, encode_credits
from node.circuit.layer import MESSAGES_END, MESSAGES_START
from node.circuit.messages import Message, MessageType, decode_messages
from node.circuit.origin import OriginLink
from qnet.crypto.keys import DhKey
from tests.support.playbook import (
    ENTRY,
    PARAMETERS,
    PHASE,
    Granted,
    Hop,
    Playbook,
    Sent,
    Tells,
    message,
)


class OriginPlay(Playbook):
    """With a client: its hops are scripted."""

    def __init__(self, hops=3, parameters=PARAMETERS):
        super().__init__(parameters)
        self.hops = [Hop() for _ in range(hops)]
        self.link = OriginLink(random=secrets.token_bytes, parameters=parameters)
        infos = [hop.info(index) for index, hop in enumerate(self.hops, 1)]
        self.circuit = self.link.open_circuit(infos, PHASE, self.now)
        self.header = relay_header(self.circuit.circuit_id)
        self._listen()

    def arrive(self, *cells: bytes) -> None:
        self.note(self.link.handle_cells(cells, self.now))

    def _listen(self):
        while self.link.has_cells() and (cells := self.link.pull(self.room)):
            self.note([self._read(cell) for cell in cells])
        for content in self.link.take_credits():
            self.note(Granted(ENTRY, cells) for _, cells in decode_credits(content))
        self.note(self.link.take_events())

    def _read(self, cell):
        _, command, _ = decode_header(cell)
        if command is Command.CREATE:
            body = cell[HEADER_BYTES:]
            for hop in self.hops:
                body = hop.open(body)
        if command is not Command.RELAY:
            return Sent(ENTRY, command)
        onward = [cell]
        for position, hop in enumerate(self.hops):
            is_last = position == len(self.hops) - 1
            header = b"" if is_last else self.header
            plain = hop.opener.pass_on(iter([onward.pop()]), header, onward)
            if plain is not None:
                found = tuple(decode_messages(plain, MESSAGES_START, MESSAGES_END, forward=True))
                if found[0].kind is MessageType.REKEY_SWITCH:
                    hop.opener.set_keys(hop.rekey.handle_switch(found[0].data))
                return Tells(position, found)
        raise AssertionError("a cell for nobody")

    def said_by(self, position: int, messages: Sequence[Message]) -> bytes:
        """A cell that a hop says, as it reaches the client."""
        cell = self.hops[position].seal(messages, self.header)
        for hop in reversed(self.hops[:position]):
            cell = hop.wrap(cell)
        return cell


# what may happen to a client


def answered(hops=None, *, spoil=lambda body: body):
    """CREATED arrives; the chain ends after `hops`."""

    def line(play):
        body = None
        for hop in reversed(play.hops[:hops]):
            body = hop.answer(body)
        play.arrive(encode_header(play.circuit.circuit_id, Command.CREATED) + spoil(body))

    return line


def hop_says(hop, *messages):
    return lambda play: play.arrive(play.said_by(hop, messages))


def hop_rekeyed(hop):
    """A hop answers REKEY with the share it drew, and uses its new keys afterwards."""

    def line(play):
        found = play.hops[hop]
        answer = found.rekey.handle_rekey(play.asked, DhKey(secrets.token_bytes(32)))
        play.arrive(play.said_by(hop, [message(MessageType.REKEYED, 0, answer)]))
        keys = found.rekey.sent()
        found.layer.set_keys(keys)
        found.content.set_key(keys.backward)

    return line


def entry_destroys():
    return lambda play: play.arrive(destroy_cell(play.circuit.circuit_id))


def entry_sends(command, body=bytes(2040)):
    return lambda play: play.arrive(encode_header(play.circuit.circuit_id, command) + body)


def entry_grants(cells):
    def line(play):
        (content,) = encode_credits([(play.circuit.circuit_id, cells)])
        play.note(play.link.handle_credit(content, play.now))

    return line


def entry_gone():
    return lambda play: play.note(play.link.link_closed(play.now))


def passes(seconds):
    def line(play):
        play.now += seconds
        play.note(play.link.tick(play.now))

    return line


def app(act):
    """The application or the client's owner does something with the circuit."""
    return lambda play: act(play.circuit) and None
