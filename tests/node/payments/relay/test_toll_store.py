"""What a relay was paid, on disk: never lowered, never lost."""

import asyncio
import secrets
import signal
import sys

import pytest

from node.payments.relay.toll_store import EpochRow, TollStore, UnitRow
from qnet.crypto.hash_chain import HashChain
from qnet.errors import LocalProtocolError
from qnet.messages.instruments import Opening, Unit

EPOCH = 3


def token(epoch=EPOCH):
    chain = HashChain(secrets.token_bytes(32))
    return chain, Opening(epoch, chain.top, secrets.token_bytes(20), secrets.token_bytes(48))


def row(chain, opening, k):
    return UnitRow(opening.token_id, Unit(k, chain.preimage(k)))


@pytest.fixture
def store(tmp_path):
    made = TollStore(tmp_path / "state" / "tolls.db")
    yield made
    made.close()


def test_tokens_and_units_are_kept(store, tmp_path):
    (chain, first), (_, second) = token(), token()
    store.write([first, second], [row(chain, first, 1), row(chain, first, 7)])
    store.write([first], [row(chain, first, 3)])  # again, and lower: nothing changes
    again = TollStore(tmp_path / "state" / "tolls.db")
    assert again.known(EPOCH) == {EPOCH: {first.token_id, second.token_id}}
    assert again.known(EPOCH + 1) == {}
    (spent,) = again.spent(EPOCH)
    assert (spent.token_id, spent.unit) == (first.token_id, Unit(7, chain.preimage(7)))
    assert again.epochs() == [EpochRow(EPOCH, 2, 7)]
    again.close()


def test_tokens_come_in_ascending_order(store):
    made = [token() for _ in range(50)]
    store.write([o for _, o in made], [row(c, o, 1) for c, o in made])
    ids = [one.token_id for one in store.spent(EPOCH)]
    assert ids == sorted(opening.token_id for _, opening in made)


def test_deliveries_and_settlement_are_remembered(store):
    chain, opening = token()
    store.write([opening], [row(chain, opening, 9)])
    store.delivered(EPOCH, 0, "a")
    store.delivered(EPOCH, 0, "a")
    store.delivered(EPOCH, 1, "b")
    assert store.deliveries(EPOCH) == {"a": {0}, "b": {1}}
    store.redeemed(EPOCH, 2)
    store.attested(EPOCH, 7, 20)
    store.redeemed(EPOCH, 3)
    assert store.epochs() == [EpochRow(EPOCH, 1, 9, 7, 20, 3)]


def test_old_epochs_go(store):
    old, new = token(1), token(2)
    store.write([old[1], new[1]], [])
    store.delivered(1, 0, "a")
    store.attested(1, 1, 1)
    assert store.forget(2) == 1
    assert [one.epoch for one in store.epochs()] == [2]
    assert store.deliveries(1) == {}


def test_another_schema_is_not_touched(tmp_path):
    store = TollStore(tmp_path / "tolls.db")
    store._db.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(LocalProtocolError, match="schema"):
        TollStore(tmp_path / "tolls.db")


KILLED = """
import sys, secrets
from pathlib import Path
from node.payments.relay.toll_store import TollStore, UnitRow
from qnet.crypto.hash_chain import HashChain
from qnet.messages.instruments import Opening, Unit
store = TollStore(Path(sys.argv[1]))
while True:
    chain = HashChain(secrets.token_bytes(32))
    opening = Opening(3, chain.top, bytes(20), bytes(48))
    store.write([opening], [])
    for k in range(1, 65):
        store.write([], [UnitRow(opening.token_id, Unit(k, chain.preimage(k)))])
        print(opening.token_id.hex(), k, flush=True)  # granted
"""


@pytest.mark.asyncio
async def test_kill_9_loses_nothing_that_was_granted(tmp_path):
    path = tmp_path / "tolls.db"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED, str(path)), stdout=asyncio.subprocess.PIPE
    )
    said = [await process.stdout.readline() for _ in range(100)]
    process.send_signal(signal.SIGKILL)
    said.append(await process.stdout.read())
    granted = {}
    for line in b"".join(said).decode().splitlines():
        token_id, _, k = line.partition(" ")
        granted[bytes.fromhex(token_id)] = int(k)
    await process.wait()
    store = TollStore(path)
    kept = {one.token_id: one.unit.k for one in store.spent(EPOCH)}
    store.close()
    assert granted
    assert all(kept[token_id] >= k for token_id, k in granted.items())


def test_the_keys_of_an_epoch_are_kept_for_redeeming_without_members(tmp_path):
    store = TollStore(tmp_path / "tolls.db")
    keys = [bytes([n]) * 256 for n in range(8)]
    assert store.keys(3) == ()
    store.keep_keys(3, b"".join(keys))
    store.keep_keys(3, b"another")
    store.close()
    store = TollStore(tmp_path / "tolls.db")
    assert list(store.keys(3)) == keys
    store.forget(4)
    assert store.keys(3) == ()
    store.close()
