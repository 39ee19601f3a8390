"""The gate: replays, restarts, expiry, capacity and token buckets."""

import secrets

import pytest

from node.htx.gate import Gate, NoStore, TicketMemory, TokenBuckets, prefix_of
from node.htx.ticket import TicketChecker, encode_token, issue
from qnet.crypto.keys import DhKey

NOW = 1_800_000_000.0


class MemoryStore:
    def __init__(self):
        self.kept = []

    def load(self):
        return list(self.kept)

    def append(self, hour, digest):
        self.kept.append((hour, digest))

    def drop_before(self, hour):
        self.kept = [item for item in self.kept if item[0] >= hour]


class Rig:
    def __init__(self, store=None, **limits):
        self.key, self.key_id, self.spki = DhKey(secrets.token_bytes(32)), bytes(8), bytes(32)
        self.store = store or NoStore()
        self.gate = self.restart(**limits)

    def restart(self, capacity=1000, buckets=None):
        checker = TicketChecker({self.key_id: self.key}, self.spki, secrets.token_bytes)
        memory = TicketMemory(self.store, capacity)
        self.gate = Gate(checker, memory, buckets or TokenBuckets())
        return self.gate

    def token(self, unix_s=NOW):
        made = issue(
            self.key.public, self.key_id, self.spki, unix_s=unix_s, random=secrets.token_bytes
        )
        return encode_token(made, secrets.token_bytes)

    def admits(self, token, unix_s=NOW, source="192.0.2.1"):
        return self.gate.admit(token, source=source, unix_s=unix_s) is not None


def test_a_ticket_lets_in_once():
    rig = Rig()
    token = rig.token()
    assert rig.admits(token)
    assert not rig.admits(token)
    assert rig.admits(rig.token())
    assert not rig.admits(None)


def test_a_replay_is_refused_in_every_hour_the_ticket_is_valid():
    for first in (-3600, 0, 3600):
        rig = Rig()
        token = rig.token()
        assert rig.admits(token, NOW + first)
        for later in range(first, 4 * 3600, 600):
            assert not rig.admits(token, NOW + later)


def test_padding_does_not_make_a_new_ticket():
    rig = Rig()
    made = issue(rig.key.public, rig.key_id, rig.spki, unix_s=NOW, random=secrets.token_bytes)
    assert rig.admits(encode_token(made, secrets.token_bytes))
    assert not rig.admits(encode_token(made, secrets.token_bytes))


def test_a_replay_is_refused_after_a_restart():
    rig = Rig(MemoryStore())
    token = rig.token()
    assert rig.admits(token)
    rig.restart()
    assert not rig.admits(token)


def test_old_hours_are_forgotten_here_and_in_the_store():
    rig = Rig(MemoryStore())
    assert rig.admits(rig.token())
    assert len(rig.store.kept) == 1
    later = NOW + 3 * 3600
    assert rig.admits(rig.token(later), later)
    assert [hour for hour, _ in rig.store.kept] == [int(later) // 3600]


def test_a_full_hour_refuses_and_counts():
    rig = Rig(capacity=2)
    assert [rig.admits(rig.token()) for _ in range(3)] == [True, True, False]
    assert rig.gate.memory.refused_full == 1


def test_buckets_refill_and_count():
    rig = Rig(buckets=TokenBuckets(rate=1, burst=2))
    assert [rig.admits(rig.token()) for _ in range(3)] == [True, True, False]
    assert rig.gate.buckets.refused == 1
    assert rig.admits(rig.token(), source="198.51.100.1")
    assert rig.admits(rig.token(), NOW + 1)


def test_buckets_forget_the_least_recently_used():
    buckets = TokenBuckets(rate=0, burst=1, capacity=2)
    assert buckets.take("a", NOW)
    assert not buckets.take("a", NOW)
    assert buckets.take("b", NOW)
    assert buckets.take("c", NOW)
    assert buckets.take("a", NOW)


@pytest.mark.parametrize(
    ("host", "prefix"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2ff::1", "2001:db8:1:200::/56"),
        ("fe80::1%eth0", "fe80::/56"),
        ("unix", "unix"),
    ],
)
def test_prefixes(host, prefix):
    assert prefix_of(host) == prefix
