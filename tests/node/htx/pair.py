"""Two link cores joined without sockets, on a clock of their own."""

import secrets
from pathlib import Path

from node.htx.address import HtxAddress
from node.htx.events import CellsReceived, LinkClosed, LinkOpened, PeerIdentity, Role
from node.htx.gate import Gate, NoStore, TicketMemory
from node.htx.keys import LocalIdentity, ServerKeys
from node.htx.link import ClientLink, LinkSettings, ServerLink
from node.htx.site import default_site
from node.htx.template import ChromeTemplate
from node.htx.ticket import TicketChecker
from qnet.crypto.kdf import node_id_of
from qnet.crypto.keys import DhKey
from qnet.parameters import NetworkParameters

TEMPLATE = ChromeTemplate.decode(
    (Path(__file__).parents[3] / "node" / "htx" / "templates" / "chrome.json").read_bytes()
)
PARAMETERS = NetworkParameters.profile("main")
UNIX_S = 1_800_000_000.0


def fresh_keys():
    ticket_id = secrets.token_bytes(8)
    return ServerKeys(
        certificate_pem=b"",
        certificate_key_pem=b"",
        spki_hash=secrets.token_bytes(32),
        link_keys=(DhKey(secrets.token_bytes(32)), DhKey(secrets.token_bytes(32))),
        ticket_keys={ticket_id: DhKey(secrets.token_bytes(32))},
    )


def address_of(keys, **changes):
    ((ticket_id, ticket_key),) = keys.ticket_keys.items()
    values = {
        "host": "127.0.0.1",
        "port": 443,
        "sni": "notes.example",
        "identity": bytes(32),
        "spki": keys.spki_hash,
        "link_key": keys.link_keys[0].public,
        "ticket_key": ticket_key.public,
        "ticket_id": ticket_id,
    }
    return HtxAddress(**(values | changes))


def gate_of(keys, store=None):
    checker = TicketChecker(keys.ticket_keys, keys.spki_hash, secrets.token_bytes)
    return Gate(checker, TicketMemory(store or NoStore()))


def fresh_identity(role=Role.RELAY):
    return LocalIdentity(role, secrets.token_bytes(32), DhKey(secrets.token_bytes(32)))


class Pair:
    """A client and a server; `pump` carries bytes until both are silent."""

    def __init__(
        self,
        *,
        keys=None,
        address=None,
        identity=None,
        known=None,
        gate=None,
        parameters=PARAMETERS,
        random=secrets.token_bytes,
        client=None,
        alter=lambda _side, piece: piece,
        unix_s=UNIX_S,
        features=(0, 0),
    ):
        self.now = 1000.0
        self.unix_s = unix_s
        self.keys = keys or fresh_keys()
        self.address = address or address_of(self.keys)
        ours, theirs = (LinkSettings(parameters, random, features=bits) for bits in features)
        self.alter = alter
        self.client = client or ClientLink(
            self.address,
            identity=identity,
            peer=PeerIdentity(Role.ENTRY, node_id_of(self.address.identity)),
            template=TEMPLATE,
            settings=ours,
            now=self.now,
            unix_s=unix_s,
        )
        known = known if known is not None else {}
        self.server = ServerLink(
            "h2",
            source="192.0.2.7",
            keys=self.keys,
            gate=gate or gate_of(self.keys),
            site=default_site(),
            link_keys_of=lambda node_id: known.get(node_id, ()),
            settings=theirs,
            now=self.now,
            clock=lambda: self.unix_s,
        )
        self.events = {"client": [], "server": []}
        self.wire = []

    def _carry(self, name, sender, receiver, other):
        moved = False
        for piece in sender.data_to_send(self.now):
            moved = True
            altered = self.alter(name, piece)
            self.wire.append((name, altered))
            if altered:
                self.events[other] += receiver.receive(altered, self.now)
        return moved

    def pump(self):
        while self._carry("client", self.client, self.server, "server") | self._carry(
            "server", self.server, self.client, "client"
        ):
            pass
        return self

    def advance(self, seconds, step=0.05):
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self.unix_s += step
            for name, link in (("client", self.client), ("server", self.server)):
                if self.now >= link.next_tick():
                    self.events[name] += link.tick(self.now)
            self.pump()
        return self

    def cells(self, side):
        found = [event.cells for event in self.events[side] if isinstance(event, CellsReceived)]
        return [cell for cells in found for cell in cells]

    def opened(self, side):
        return [event for event in self.events[side] if isinstance(event, LinkOpened)]

    def closed(self, side):
        return [event.reason for event in self.events[side] if isinstance(event, LinkClosed)]
