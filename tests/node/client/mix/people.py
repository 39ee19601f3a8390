"""Clients with messages on disk, in the mixnet in memory; they can be killed and started again."""

from types import SimpleNamespace

from node.client.mix.post import Post
from node.client.mix.store import MessageStore
from node.errors import Stage, StageError
from node.mix.account import Account
from node.mix.client import MixClient
from tests.node.mix.network import MAILBOX_NODE, PHASE_S, RATES

START_S = 1_000_000.0


class Known:
    """What `LivePaths` says, of the network in memory."""

    def __init__(self, network, *, listed=(MAILBOX_NODE,)):
        self.network, self.listed, self.paths = network, set(listed), network.paths
        self.consensus = SimpleNamespace(parameters=SimpleNamespace(key_phase_s=PHASE_S))

    @property
    def phases(self):
        infos = next(iter(self.network.paths.mixes.values()))
        return sorted(infos.phase_keys)

    def node(self, index):
        if index not in self.listed:
            raise StageError(Stage.PATH, f"node {index} is not in the consensus")
        return index


class Person:
    """One client with its file; `start` after `kill` is a new process with the same file."""

    def __init__(self, network, path):
        self.network, self.path = network, path
        self.slot = len(network.clients)
        network.clients.append(None)
        network.events.append(self)
        self.lost = []
        self.start()

    def start(self):
        self.store = MessageStore(self.path)
        if not self.store.addresses.rows():
            self.store.addresses.add(self.network.random.randbytes(32), MAILBOX_NODE, START_S)
        (self.mailbox,) = self.store.addresses.mailboxes()
        issue = self.network.mailbox_ids.issue
        account = Account(
            self.mailbox.key,
            MAILBOX_NODE,
            lambda: issue(self.slot, self.network.random.randbytes),
        )
        self.client = MixClient(
            account, self.network.paths, RATES, self.network.random.randbytes, self.network.now
        )
        self.post = Post(self.store, self.client, Known(self.network), lambda: 100)
        self.post.resume(self.network.now)
        self.network.clients[self.slot] = (self, account)

    def kill(self):
        """Nothing is said and nothing more is stored."""
        self.store.close()
        self.network.clients[self.slot] = (Dead(), self.network.clients[self.slot][1])

    # what the network in memory asks of a client

    @property
    def next_at(self):
        return self.client.next_at

    def advance(self, phase):
        self.client.advance(phase)
        self.post.advance(phase, self.wall)

    def packets(self, phase, now):
        if now < self.client.next_at:
            return []
        self.post.keep(self.client.events(), self.wall)
        self.post.feed(phase, now, self.wall)
        return self.client.packets(phase, now)

    def receive(self, delivery, now):
        self.post.keep(self.client.receive(delivery, now), self.wall)
        return []

    def __iadd__(self, _events):
        return self

    @property
    def wall(self):
        return START_S + self.network.now

    # what a person does

    @property
    def address(self):
        return str(self.mailbox.address)

    def write(self, address, text, *, replies=2):
        message_id = self.network.random.randbytes(16)
        self.store.sent.add(message_id, address, text, replies, self.wall)
        return message_id

    def answer(self, number, text):
        name = self.network.random.randbytes(16)
        self.store.answers.add(name, number, text, self.wall)
        return name

    def texts(self):
        return [row.text for row in self.store.received.after(0, 100)]

    def state(self, message_id):
        (row,) = self.store.sent.rows(message_id)
        return row.state


class Dead:
    """A client that is off: packets for it are lost."""

    next_at = float("inf")

    def advance(self, _phase):
        pass

    def packets(self, _phase, _now):
        return []

    def receive(self, _delivery, _now):
        return []
