"""The playbook of a relay or an exit: client and next hop are scripted."""

import secrets

from node.circuit.backward import BackwardLayer, BackwardOpener, ContentKey
from node.circuit.cell import (
    CONTENT_BYTES,
    HEADER_BYTES,
    Command,
    decode_header,
    destroy_cell,
    encode_header,
    relay_header,
)
from node.circuit.flow import decode_credits, encode_credits
from node.circuit.layer import (
    DELIVER,
    MESSAGES_END,
    MESSAGES_START,
    Filler,
    ForwardSealer,
    build_forward,
)
from node.circuit.messages import MessageType, decode_messages, encode_message
from node.circuit.rekey import ClientRekey
from node.circuit.relay import RelayCore
from node.circuit.setup import build_create, open_created
from qnet.crypto.keys import DhKey
from tests.support.playbook import (
    CLIENT,
    NEXT,
    PARAMETERS,
    PHASE,
    Granted,
    Heard,
    Hop,
    Playbook,
    Sent,
    Tells,
    message,
)

LINKS = {CLIENT: 1, NEXT: 2}


class RelayPlay(Playbook):
    """With a relay: the client and the next hop are scripted.

    Args:
        last: whether the circuit ends at the relay under test.
        exits: whether it is an exit.
    """

    def __init__(self, *, last=False, exits=False, parameters=PARAMETERS):
        super().__init__(parameters)
        self.relay, self.next = Hop(), Hop()
        self.core = RelayCore(
            node_id=self.relay.node_id,
            phase_keys=self.relay.keyring,
            random=secrets.token_bytes,
            parameters=parameters,
            exits=exits,
        )
        self.core.link_opened(LINKS[CLIENT], outgoing=False)
        self.hops = [self.relay.info(1)] + ([] if last else [self.next.info(2)])
        self.circuit_id = 1
        self.next_id = 0
        self.filler = Filler(secrets.token_bytes)

    def arrive(self, side, *cells):
        self.note(self.core.handle_cells(LINKS[side], list(cells), self.now))

    def client_cell(self, hop, messages):
        return build_forward(
            self.sealers[: hop + 1],
            b"".join(encode_message(*one) for one in messages),
            self.filler,
            relay_header(self.circuit_id),
        )

    def _listen(self):
        core = self.core
        for side, link_id in LINKS.items():
            while link_id in core.ready_links() and (cells := core.pull(link_id, self.room)):
                self.note([self._read(side, cell) for cell in cells])
        for link_id, content in core.take_credits():
            side = next(side for side, known in LINKS.items() if known == link_id)
            self.note(Granted(side, cells) for _, cells in decode_credits(content))
        self.note(core.take_actions())

    def _read(self, side, cell):
        circuit_id, command, _ = decode_header(cell)
        if command is Command.RELAY:
            return self._read_client(cell) if side == CLIENT else self._read_next(cell)
        if command is Command.CREATED:
            keys = open_created(cell[HEADER_BYTES:], self.pending)
            self.sealers = [ForwardSealer(1, known.layer) for known in keys]
            self.rekeys = [ClientRekey(known.root) for known in keys]
            self.reader = BackwardOpener(
                [(BackwardLayer(1, k.layer), ContentKey(1, k.layer.backward)) for k in keys]
            )
        elif command is Command.CREATE:
            self.next_id = circuit_id
            self.next.open(cell[HEADER_BYTES:])
        return Sent(side, command)

    def _read_client(self, cell):
        hop, content = self.reader.open(cell)
        messages = tuple(decode_messages(content, 0, CONTENT_BYTES, forward=False))
        if messages and messages[0].kind is MessageType.REKEYED:
            self.reader.set_keys(hop, self.rekeys[hop].handle_rekeyed(messages[0].data))
        return Heard(hop, messages)

    def _read_next(self, cell):
        plain = self.next.opener.open(cell)
        assert plain[0] == DELIVER
        found = decode_messages(plain, MESSAGES_START, MESSAGES_END, forward=True)
        return Tells(1, tuple(found))


# what may happen to a relay


def create(*, body=None):
    """The client's CREATE arrives."""

    def line(play):
        made, play.pending = build_create(play.hops, PHASE, secrets.token_bytes)
        header = encode_header(play.circuit_id, Command.CREATE, PHASE)
        play.arrive(CLIENT, header + (made if body is None else body))

    return line


def link_ready():
    def line(play):
        play.core.link_opened(LINKS[NEXT], outgoing=True)
        play.note(play.core.link_ready(1, LINKS[NEXT], play.now))

    return line


def link_failed():
    return lambda play: play.note(play.core.link_failed(1, play.now))


def link_closed(side):
    return lambda play: play.note(play.core.link_closed(LINKS[side], play.now))


def created():
    """The next hop answers CREATE."""

    def line(play):
        header = encode_header(play.next_id, Command.CREATED)
        play.arrive(NEXT, header + play.next.answer())

    return line


def client_tells(hop, *messages):
    return lambda play: play.arrive(CLIENT, play.client_cell(hop, messages))


def next_says(*messages, cells=1):
    """The next hop sends cells of its own towards the client."""

    def line(play):
        header = relay_header(play.next_id)
        play.arrive(NEXT, *(play.next.seal(messages, header) for _ in range(cells)))

    return line


def destroy(side):
    def line(play):
        play.arrive(side, destroy_cell(play.circuit_id if side == CLIENT else play.next_id))

    return line


def raw(side, command, body=bytes(2040), *, circuit_id=None):
    """A cell that is not in order."""

    def line(play):
        known = play.circuit_id if side == CLIENT else play.next_id
        header = encode_header(known if circuit_id is None else circuit_id, command)
        play.arrive(side, header + body)

    return line


def credit(side, cells):
    def line(play):
        known = play.circuit_id if side == CLIENT else play.next_id
        (content,) = encode_credits([(known, cells)])
        play.note(play.core.handle_credit(LINKS[side], content, play.now))

    return line


def later(seconds):
    def line(play):
        play.now += seconds
        play.note(play.core.tick(play.now))

    return line


def node(call, *arguments):
    """The node's end of a stream, or the node itself: a method of the core is called."""

    def line(play):
        result = getattr(play.core, call)(*arguments)
        if isinstance(result, list):
            play.note(result)

    return line


def client_rekeys(hop):
    def line(play):
        data_ = play.rekeys[hop].ask(DhKey(secrets.token_bytes(32)))
        play.arrive(CLIENT, play.client_cell(hop, [message(MessageType.REKEY, 0, data_)]))

    return line


def client_switches(hop):
    def line(play):
        rekey = play.rekeys[hop]
        said = message(MessageType.REKEY_SWITCH, 0, rekey.switch_data())
        cell = play.client_cell(hop, [said])
        play.sealers[hop].set_keys(rekey.sent())
        play.arrive(CLIENT, cell)

    return line


def standing(play) -> RelayPlay:
    """Go through the setup; the circuit is open afterwards."""
    play >> create()
    if len(play.hops) > 1:
        play.skip(object)
        play >> link_ready() << Sent(NEXT, Command.CREATE)
        play >> created()
    return play << Sent(CLIENT, Command.CREATED)
