import os
import signal
import socket
import sys
import time

import pytest

from tools.devnet.config import DevnetConfig, check_ports, claim_home, free_home, move_to_free_ports
from tools.devnet.errors import (
    HomeTakenError,
    PortTakenError,
    ProcessDiedError,
    ProgramMissingError,
    ReadyTimeoutError,
)
from tools.devnet.processes import (
    Process,
    Spec,
    check_alive,
    find_ready,
    log_tail,
    spawn,
    start_ticks,
    stop_all,
    wait_ready,
)


def spec_of(tmp_path, code, **options):
    argv = (sys.executable, "-c", code)
    return Spec("thing", argv, tmp_path / "logs", {}, **options)


def wait_gone(process):
    deadline = time.monotonic() + 10
    while process.alive and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not process.alive


READY_THEN_WAIT = "import time; print('READY {\"port\": 5}', flush=True); time.sleep(60)"


def test_ready_line_is_read_and_stop_leaves_nothing(tmp_path):
    spec = spec_of(tmp_path, READY_THEN_WAIT)
    process = spawn(spec)
    assert wait_ready(spec, process) == {"port": 5}
    assert process.alive
    assert stop_all([process]) == []
    assert not process.alive


def test_death_before_ready_shows_the_last_lines(tmp_path):
    code = "import sys; [print(f'line {i}', file=sys.stderr) for i in range(40)]; sys.exit(3)"
    spec = spec_of(tmp_path, code)
    process = spawn(spec)
    with pytest.raises(ProcessDiedError) as caught:
        wait_ready(spec, process)
    assert caught.value.returncode == 3
    assert caught.value.tail[-1] == "line 39"
    assert len(caught.value.tail) == 15
    assert "line 39" in caught.value.why


def test_death_after_ready_is_found(tmp_path):
    spec = spec_of(tmp_path, "print('READY {}', flush=True); raise SystemExit('out of luck')")
    process = spawn(spec)
    wait_ready(spec, process)
    wait_gone(process)
    with pytest.raises(ProcessDiedError, match="thing died with status 1") as caught:
        check_alive([process])
    assert "out of luck" in caught.value.tail


def test_silence_times_out(tmp_path):
    spec = spec_of(tmp_path, "import time; time.sleep(60)", ready_timeout_s=0.3)
    process = spawn(spec)
    with pytest.raises(ReadyTimeoutError):
        wait_ready(spec, process)
    stop_all([process])


def test_a_dead_companion_ends_the_wait(tmp_path):
    spec = spec_of(tmp_path, "import time; time.sleep(60)")
    process = spawn(spec)

    def companion():
        raise ProcessDiedError("chain", 1, ["boom"], spec.err)

    with pytest.raises(ProcessDiedError, match="chain"):
        wait_ready(spec, process, others=companion)
    stop_all([process])


def test_stubborn_program_and_its_children_are_killed(tmp_path):
    code = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "if child: print('READY {\"child\": %d}' % child, flush=True)\n"
        "time.sleep(60)\n"
    )
    spec = spec_of(tmp_path, code)
    process = spawn(spec)
    grandchild = wait_ready(spec, process)["child"]
    assert stop_all([process], grace_s=0.5) == ["thing"]
    deadline = time.monotonic() + 5
    while start_ticks(grandchild) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert start_ticks(grandchild) is None


def test_orphaned_children_of_a_dead_program_are_killed(tmp_path):
    code = (
        "import os, time\n"
        "child = os.fork()\n"
        "if child: print('READY {\"child\": %d}' % child, flush=True); os._exit(1)\n"
        "time.sleep(60)\n"
    )
    spec = spec_of(tmp_path, code)
    process = spawn(spec)
    grandchild = wait_ready(spec, process)["child"]
    wait_gone(process)
    stop_all([process], grace_s=0.5)
    deadline = time.monotonic() + 5
    while start_ticks(grandchild) is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert start_ticks(grandchild) is None


def test_recycled_pid_is_never_signalled():
    stranger = Process("thing", os.getpid(), start_ticks(os.getpid()) - 1, "", "")
    received = []
    before = signal.signal(signal.SIGTERM, lambda *_: received.append(1))
    try:
        assert stop_all([stranger], grace_s=0.2) == []
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not stranger.alive
    assert not received


def test_missing_program_names_the_setup(tmp_path):
    spec = Spec("chain", ("/nonexistent/anvil",), tmp_path, {})
    with pytest.raises(ProgramMissingError) as caught:
        spawn(spec)
    assert caught.value.try_ == ("scripts/setup",)


def test_half_a_ready_line_is_not_ready(tmp_path):
    out = tmp_path / "x.out"
    out.write_text('hello\nREADY {"a": 1')
    assert find_ready(out) is None
    out.write_text('hello\nREADY {"a": 1}\n')
    assert find_ready(out) == {"a": 1}
    assert find_ready(tmp_path / "absent") is None


def test_tail_of_a_large_log_is_bounded(tmp_path):
    log = tmp_path / "x.err"
    log.write_text("word\n" * 200_000 + "last\n")
    assert log_tail(log, lines=2) == ["word", "last"]


def test_taken_port_names_purpose_and_flag(tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        config = DevnetConfig(tmp_path, chain_port=holder.getsockname()[1])
        with pytest.raises(PortTakenError, match="chain") as caught:
            check_ports(config, ())
    assert "--chain-port" in caught.value.try_[-1]


def test_taken_dns_port_is_seen_over_udp(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        config = DevnetConfig(
            tmp_path, chain_port=28545, ledger_port=28701, dns_port=port, socks_port=29150
        )
        with pytest.raises(PortTakenError, match="names"):
            check_ports(config, ())


def test_taken_ports_are_moved_and_the_others_stay(tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        config = DevnetConfig(tmp_path, ledger_port=taken - 1, chain_port=28545)
        moved = move_to_free_ports(config, ("127.0.0.1",))
        check_ports(moved, ("127.0.0.1",))
    assert moved.ledger_port not in range(taken - 4, taken + 1)
    assert moved.chain_port == 28545


def test_homes_are_never_overwritten(tmp_path):
    first = free_home(tmp_path)
    claim_home(first)
    (first / "key").write_text("precious")
    with pytest.raises(HomeTakenError):
        claim_home(first)
    assert free_home(tmp_path) == tmp_path / "devnet-2"
    assert first.stat().st_mode & 0o777 == 0o700
