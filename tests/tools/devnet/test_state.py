import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.devnet.config import DevnetConfig
from tools.devnet.errors import NameUnknownError, NotRunningError, StateUnreadableError
from tools.devnet.processes import Process, start_ticks
from tools.devnet.state import (
    Account,
    MemberRecord,
    NodeRecord,
    State,
    find_home,
    load,
    locked,
    save,
)


def example(home):
    return State(
        config=DevnetConfig(home),
        started_at="2026-01-01T00:00:00Z",
        processes=(Process("chain", os.getpid(), start_ticks(os.getpid()), "a", "b"),),
        accounts=(Account("alice", "0x" + "11" * 20, "alice.json"),),
        nodes=(NodeRecord("node-1", 1, "entry", "127.11.0.1", "n", "operator-1", "ab" * 32, 1),),
        members=(MemberRecord("ledger-0", 0, "http://x", "h", "m", "s", "auditor-0", "a"),),
    )


def test_round_trip(tmp_path):
    state = example(tmp_path)
    save(state)
    assert load(tmp_path) == state
    assert (tmp_path / "state.json").stat().st_mode & 0o777 == 0o600


def test_process_of_the_same_name_is_replaced(tmp_path):
    state = example(tmp_path).with_process(Process("chain", 1, -1, "a", "b"))
    assert [process.pid for process in state.processes] == [1]
    assert not state.running


def test_unknown_names_list_the_known_ones(tmp_path):
    state = example(tmp_path)
    with pytest.raises(NameUnknownError) as caught:
        state.account("mallory")
    assert "alice" in caught.value.why
    with pytest.raises(NameUnknownError) as caught:
        state.process("nope")
    assert "chain" in caught.value.why


def test_absent_state_is_not_running(tmp_path):
    with pytest.raises(NotRunningError):
        load(tmp_path)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=200), st.just('{"schema":"qnet.devnet.state/1"}')))
def test_damaged_state_is_a_typed_error(tmp_path, text):
    (tmp_path / "state.json").write_text(text, "utf-8")
    with pytest.raises(StateUnreadableError):
        load(tmp_path)


def test_running_home_is_preferred_to_a_later_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(NotRunningError):
        find_home(None)
    for name, pid in (("devnet", os.getpid()), ("devnet-2", 1)):
        home = tmp_path / "qnet" / name
        home.mkdir(parents=True)
        state = example(home)
        ticks = start_ticks(pid) if pid == os.getpid() else -1
        save(state.with_process(Process("chain", pid, ticks, "a", "b")))
    assert find_home(None).name == "devnet"
    assert find_home(tmp_path / "x").name == "x"


def test_lock_keeps_a_second_command_out(tmp_path):
    with locked(tmp_path), pytest.raises(StateUnreadableError), locked(tmp_path):
        pass
