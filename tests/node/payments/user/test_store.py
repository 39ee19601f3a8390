"""The wallet's file: one owner, no state lost, and nothing believed once it is damaged."""

import secrets
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from node.errors import WalletBusyError, WalletDamagedError, WalletMissingError
from node.payments.user.derivation import Slot
from node.payments.user.rows import instrument_from, instrument_row, request_from, request_row
from node.payments.user.states import (
    ALLOWED,
    Blank,
    Instrument,
    Request,
    RequestKind,
    RequestState,
    State,
)
from node.payments.user.store import Store
from node.payments.user.wallet_file import create_file, put_aside
from qnet.errors import DecodeError, LocalProtocolError

OWNER = b"\x0a" * 20
PAGE = 4096
slots = st.builds(Slot, st.integers(0, 2**32 - 1), st.integers(0, 7), st.integers(0, 2**31))
instruments = st.builds(
    Instrument,
    slots,
    st.sampled_from(State),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=48),
    st.integers(0, 64),
    st.integers(0, 64),
    st.integers(0, 9),
    st.integers(0, 9),
    st.none() | st.sampled_from(State),
)
requests = st.builds(
    Request,
    number=st.integers(1, 9),
    kind=st.sampled_from(RequestKind),
    epoch=st.integers(0, 2**32 - 1),
    body=st.binary(max_size=99),
    blanks=st.lists(st.builds(Blank, slots, st.integers(0, 9)), max_size=64).map(tuple),
    inputs=st.lists(slots, max_size=8).map(tuple),
    at=st.floats(0, 2**40),
    due=st.floats(0, 2**40),
    wei=st.integers(0, 2**128 - 1),
    nonce=st.integers(0, 2**60),
    state=st.sampled_from(RequestState),
    why=st.text(max_size=20),
)


def buy(nonce=1, first=0, count=3, epoch=0):
    blanks = tuple(Blank(Slot(epoch, 6, first + i)) for i in range(count))
    return Request(0, RequestKind.BUY, epoch, b"body", blanks, at=5.0, wei=10**20, nonce=nonce)


def swap(inputs, blanks, epoch=0):
    return Request(0, RequestKind.SWAP, epoch, b"swap", tuple(blanks), tuple(inputs), at=6.0)


@pytest.fixture
def folder(tmp_path):
    create_file(tmp_path / "payments", OWNER)
    return tmp_path / "payments"


@pytest.fixture
def store(folder):
    opened = Store(folder, OWNER)
    yield opened
    opened.close()


def filled(folder, purchases=40):
    """A file with enough in it to fill several pages."""
    store = Store(folder, OWNER)
    for nonce in range(1, purchases + 1):
        request = store.begin(buy(nonce, first=64 * nonce, count=64))
        store.finish(request.number, [secrets.token_bytes(48)] * 64, at=7.0)
    store.close()
    return store


@given(instruments)
def test_instruments_are_read_as_they_were_written(entry):
    assert instrument_from(instrument_row(entry)) == entry


@given(requests)
def test_requests_are_read_as_they_were_written(entry):
    assert request_from(request_row(entry)) == entry


@given(instruments, st.data())
def test_a_changed_row_is_not_read(entry, data):
    row = list(instrument_row(entry))
    place = data.draw(st.sampled_from([0, 1, 2, 4, 6, 7, 8, 9]))
    row[place] += 1
    with pytest.raises(DecodeError):
        instrument_from(row)


def test_states_and_values_survive_closing(folder):
    store = Store(folder, OWNER)
    request = store.begin(buy())
    store.finish(request.number, [b"s" * 48] * 3, at=7.0)
    store.change(Slot(0, 6, 1), State.EXITING)
    store.note("limit", b"5")
    store.close()
    again = Store(folder, OWNER)
    assert [e.state for e in again.instruments()] == [State.HELD, State.EXITING, State.HELD]
    assert again.noted("limit") == b"5"
    assert again.receipts() == [{"nonce": 1, "at": 7, "epoch": 0, "credits": 3, "wei": 10**20}]
    assert again.next_counter(0, 6) == 3
    again.close()


def test_an_output_takes_a_free_slot_and_a_nonce_counts_once(store):
    store.begin(buy())
    with pytest.raises(LocalProtocolError):
        store.begin(buy(nonce=2))
    with pytest.raises(LocalProtocolError):
        store.begin(buy(first=3))
    assert len(store.requests()) == 1
    assert len(store.instruments()) == 3


def test_a_request_that_cannot_begin_leaves_nothing(store):
    number = store.begin(buy()).number
    store.finish(number, [b"s" * 48] * 3, at=1.0)
    taken = swap([Slot(0, 6, 0), Slot(0, 6, 9)], [Blank(Slot(0, 7, 0), 5)])
    with pytest.raises(LocalProtocolError):
        store.begin(taken)
    assert store.instrument(Slot(0, 6, 0)).state is State.HELD
    assert store.instrument(Slot(0, 7, 0)) is None


def test_a_failed_swap_gives_its_inputs_back_where_they_were(store):
    store.finish(store.begin(buy()).number, [b"s" * 48] * 3, at=1.0)
    store.begin(swap([Slot(0, 6, 0)], [Blank(Slot(0, 7, 0), 5)]))
    store.finish(2, [b"t" * 48], at=1.0)
    token = Slot(0, 7, 0)
    store.change(token, State.SPENDING, last=50)
    store.change(token, State.SPENT, k=50)
    request = store.begin(swap([token], [Blank(Slot(1, 3, 0))], epoch=1))
    store.fail(request.number, "no")
    found = store.instrument(token)
    assert (found.state, found.k, found.last) == (State.SPENT, 50, 50)
    request = store.begin(swap([token], [Blank(Slot(1, 3, 1))], epoch=1))
    store.fail(request.number, "no", stuck=[token])
    assert store.instrument(token).state is State.STUCK


def test_nothing_but_its_swap_ends_an_input_that_is_under_way(store):
    """A circuit that ends late once freed the token of a refund that had been sent already."""
    store.finish(store.begin(buy()).number, [b"s" * 48] * 3, at=1.0)
    request = store.begin(swap([Slot(0, 6, 0)], [Blank(Slot(0, 7, 0), 5)]))
    for state in (State.SPENT, State.HELD, State.UNSURE):
        with pytest.raises(LocalProtocolError):
            store.change(Slot(0, 6, 0), state)
    store.fail(request.number, "no", stuck=[Slot(0, 6, 0)])
    assert store.instrument(Slot(0, 6, 0)).state is State.STUCK


def test_inputs_of_requests_under_way_are_kept_with_old_epochs(store):
    store.finish(store.begin(buy()).number, [b"s" * 48] * 3, at=1.0)
    request = store.begin(swap([Slot(0, 6, 0)], [Blank(Slot(5, 6, 0))], epoch=5))
    store.forget_epochs(5)
    assert [entry.slot for entry in store.instruments()] == [Slot(0, 6, 0), Slot(5, 6, 0)]
    store.fail(request.number, "expired")
    store.forget_epochs(5)
    assert [entry.slot for entry in store.instruments()] == [Slot(5, 6, 0)]


class Life(RuleBasedStateMachine):
    """Whatever is asked of the store, only allowed changes happen and k never falls."""

    def __init__(self):
        super().__init__()
        self.folder = Path(f"/tmp/qnet-store-{secrets.token_hex(8)}")
        create_file(self.folder, OWNER)
        self.store = Store(self.folder, OWNER)
        self.store.begin(buy())
        self.seen = {entry.slot: entry for entry in self.store.instruments()}

    @rule(counter=st.integers(0, 2), state=st.sampled_from(State), k=st.integers(0, 64))
    def change(self, counter, state, k):
        slot = Slot(0, 6, counter)
        known = self.seen[slot]
        try:
            self.store.change(slot, state, k=k)
        except LocalProtocolError:
            assert state not in ALLOWED[known.state] or k < known.k
        else:
            assert state in ALLOWED[known.state]
            assert k >= known.k

    @rule()
    def finish(self):
        states = [self.seen[Slot(0, 6, counter)].state for counter in range(3)]
        if set(states) == {State.REQUESTED}:
            self.store.finish(1, [b"s" * 48] * 3, at=0.0)

    @rule()
    def reopen(self):
        self.store.close()
        self.store = Store(self.folder, OWNER)

    @invariant()
    def look(self):
        self.seen = {entry.slot: entry for entry in self.store.instruments()}
        assert len(self.seen) == 3

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.folder)


def test_no_change_is_made_that_is_not_allowed():
    run_state_machine_as_test(
        Life, settings=settings(max_examples=15, stateful_step_count=15, deadline=None)
    )


def test_one_program_owns_the_file(folder, store):
    with pytest.raises(WalletBusyError):
        Store(folder, OWNER)


def test_another_process_is_kept_out_and_let_in_when_the_first_is_killed(folder):
    holder = (
        "import sys, time; from pathlib import Path; from node.payments.user.store import Store;"
        "store = Store(Path(sys.argv[1]), b'\\x0a' * 20); print('open', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", holder, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(WalletBusyError):
            Store(folder, OWNER)
        process.kill()
    Store(folder, OWNER).close()


def test_there_is_no_wallet_before_it_is_made(tmp_path):
    with pytest.raises(WalletMissingError):
        Store(tmp_path, OWNER)


def test_a_file_is_not_made_twice(folder):
    with pytest.raises(LocalProtocolError):
        create_file(folder, OWNER)


def test_a_file_of_another_seed_is_refused(folder):
    with pytest.raises(WalletDamagedError, match="damaged"):
        Store(folder, b"\x0b" * 20)


def cuts(size):
    chance = secrets.SystemRandom()
    return [*range(0, size, PAGE), *(chance.randrange(size) for _ in range(40))]


def test_a_file_cut_anywhere_is_refused_and_left_as_it_is(folder):
    filled(folder)
    path = folder / "wallet.db"
    whole = path.read_bytes()
    assert len(whole) > 20 * PAGE
    for size in cuts(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(WalletDamagedError) as raised:
            Store(folder, OWNER)
        assert "qnet pay recover" in raised.value.try_
        assert path.read_bytes() == whole[:size]
    path.write_bytes(whole)
    Store(folder, OWNER).close()


def test_a_file_with_a_changed_byte_is_refused_or_reads_the_same(folder):
    filled(folder, purchases=8)
    path = folder / "wallet.db"
    whole = path.read_bytes()
    store = Store(folder, OWNER)
    expected = store.instruments(), store.requests()
    store.close()
    refused = 0
    for _ in range(150):
        place = secrets.randbelow(len(whole))
        changed = bytearray(whole)
        changed[place] ^= 1 + secrets.randbelow(255)
        path.write_bytes(changed)
        try:
            opened = Store(folder, OWNER)
        except WalletDamagedError:
            refused += 1
        else:
            assert (opened.instruments(), opened.requests()) == expected
            opened.close()
        for part in ("-wal", "-shm"):
            (folder / f"wallet.db{part}").unlink(missing_ok=True)
    assert refused > 20


def test_a_row_changed_by_hand_is_refused(folder):
    filled(folder, purchases=1)
    db = sqlite3.connect(folder / "wallet.db")
    db.execute("UPDATE instruments SET state = 'swapped' WHERE counter = 64")
    db.commit()
    db.close()
    with pytest.raises(WalletDamagedError):
        Store(folder, OWNER)


def test_a_damaged_file_is_put_aside_not_away(folder):
    path = folder / "wallet.db"
    path.write_bytes(b"nothing")
    aside = put_aside(folder, "damaged-1")
    assert aside.read_bytes() == b"nothing"
    create_file(folder, OWNER)
    Store(folder, OWNER).close()
    assert put_aside(folder.parent, "x") is None


def test_the_file_is_the_owners_alone(folder):
    Store(folder, OWNER).close()
    assert (folder / "wallet.db").stat().st_mode & 0o077 == 0
