import os
import random
import signal
import subprocess
import sys
import time

import pytest

from node.io.spool import ConflictingReceiptError, Spool
from qnet.errors import LocalProtocolError

MEMBERS = ("http://a", "http://b")


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "state" / "spool.db")
    yield spool
    spool.close()


def test_a_receipt_waits_for_every_member(spool):
    assert spool.put(b"k1", b"one", 3)
    assert spool.put(b"k2", b"two", 3)
    assert spool.counts(MEMBERS) == {"http://a": 2, "http://b": 2}
    first, second = spool.waiting("http://a", 10)
    assert (first.body, second.body) == (b"one", b"two")
    spool.delivered("http://a", {first.row: 0})
    assert [w.body for w in spool.waiting("http://a", 10)] == [b"two"]
    assert [w.body for w in spool.waiting("http://b", 1)] == [b"one"]
    assert spool.counts(MEMBERS) == {"http://a": 1, "http://b": 2}


def test_storing_twice_keeps_one(spool):
    assert spool.put(b"k", b"same", 1)
    assert not spool.put(b"k", b"same", 1)
    assert spool.counts(("m",)) == {"m": 1}


def test_two_receipts_for_one_key_are_never_stored(spool):
    spool.put(b"k", b"first", 1)
    with pytest.raises(ConflictingReceiptError):
        spool.put(b"k", b"second", 1)
    assert spool.get(b"k") == b"first"
    assert spool.get(b"other") is None


def test_answers_are_counted_and_repeated_deliveries_are_one(spool):
    spool.put(b"k", b"x", 1)
    (waiting,) = spool.waiting("m", 5)
    spool.delivered("m", {waiting.row: 0})
    spool.delivered("m", {waiting.row: 1})
    assert spool.answers() == {1: 1}


def test_old_epochs_are_pruned_with_their_deliveries(spool):
    spool.put(b"k1", b"x", 1)
    spool.put(b"k2", b"y", 2)
    spool.delivered("m", {w.row: 0 for w in spool.waiting("m", 5)})
    assert spool.prune(2) == 1
    assert spool.counts(("m",)) == {"m": 0}
    assert spool.get(b"k1") is None


def test_the_file_survives_and_is_private(tmp_path):
    path = tmp_path / "spool.db"
    first = Spool(path)
    first.put(b"k", b"kept", 1)
    first.close()
    second = Spool(path)
    assert second.get(b"k") == b"kept"
    second.close()
    assert path.stat().st_mode & 0o077 == 0


def test_an_unknown_schema_is_refused(tmp_path):
    path = tmp_path / "spool.db"
    spool = Spool(path)
    spool._db.execute("PRAGMA user_version = 9")
    spool.close()
    with pytest.raises(LocalProtocolError, match="schema 9"):
        Spool(path)


WRITER = """
import sys
from node.io.spool import Spool
spool = Spool(__import__("pathlib").Path(sys.argv[1]))
n = int(sys.argv[2])
while True:
    key = n.to_bytes(8)
    spool.put(key, b"receipt" + key, n)
    print(n, flush=True)
    waiting = spool.waiting("m", 4)
    spool.delivered("m", {w.row: 0 for w in waiting[:2]})
    n += 1
"""


def test_kill_9_at_random_points_loses_and_doubles_nothing(tmp_path):
    path = tmp_path / "spool.db"
    chance = random.SystemRandom()
    next_number = 0
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(next_number)],
            stdout=subprocess.PIPE,
            text=True,
        )
        line = writer.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.05))
        os.kill(writer.pid, signal.SIGKILL)
        said = [int(number) for number in (line + writer.stdout.read()).split()]
        writer.wait()
        writer.stdout.close()
        spool = Spool(path)
        rows = spool._db.execute("SELECT key, body FROM receipts ORDER BY id").fetchall()
        numbers = [int.from_bytes(key) for key, _ in rows]
        assert numbers == list(range(len(numbers)))
        assert set(said) <= set(numbers)
        assert all(body == b"receipt" + key for key, body in rows)
        waiting = {w.row for w in spool.waiting("m", 10**6)}
        (done,) = spool._db.execute("SELECT count(*) FROM deliveries").fetchone()
        assert len(waiting) + done == len(numbers)
        spool.close()
        next_number = len(numbers)
