import contextlib
import socket
import threading

import pytest

from qnet.errors import NetworkError
from tools.bench.torcontrol import TorControl

HELLO = [b"250 OK\r\n", b"250 OK\r\n"]


@contextlib.contextmanager
def scripted(tmp_path, *answers):
    """A control port that answers each line with the next words; yields what it heard."""
    path = tmp_path / "control"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    heard = []

    def talk():
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            for answer in [*HELLO, *answers]:
                line = lines.readline()
                heard.append(line.decode().strip())
                connection.sendall(answer)

    thread = threading.Thread(target=talk)
    thread.start()
    with TorControl(path) as control:
        yield control, heard
    thread.join()
    listener.close()


def test_a_circuit_is_built_when_tor_says_so(tmp_path):
    answer = (
        b"650 CIRC 7 LAUNCHED\r\n250 EXTENDED 7\r\n650 CIRC 6 BUILT x\r\n650 CIRC 7 EXTENDED x\r\n"
        b"650 CIRC 7 BUILT x\r\n"
    )
    with scripted(tmp_path, answer) as (control, heard):
        circuit, took_s = control.build(["AA", "BB"])
    assert circuit == "7"
    assert took_s > 0
    assert heard[2] == "EXTENDCIRCUIT 0 $AA,$BB"


def test_a_failed_circuit_is_an_error(tmp_path):
    with scripted(tmp_path, b"250 EXTENDED 7\r\n650 CIRC 7 FAILED x REASON=TIMEOUT\r\n") as (c, _):
        with pytest.raises(NetworkError) as caught:
            c.build(["AA"])
        assert "TIMEOUT" in caught.value.why


def test_a_refusal_is_an_error(tmp_path):
    with scripted(tmp_path, b"552 No such router\r\n") as (control, _):
        with pytest.raises(NetworkError) as caught:
            control.build(["AA"])
        assert "No such router" in caught.value.why


def test_circuits_of_more_than_one_hop_are_closed(tmp_path):
    status = (
        b"250+circuit-status=\r\n1 BUILT $A~a PURPOSE=GENERAL\r\n2 BUILT $A~a,$B~b\r\n"
        b"3 LAUNCHED\r\n.\r\n250 OK\r\n"
    )
    with scripted(tmp_path, status, b"552 Unknown circuit\r\n") as (control, heard):
        control.close_paths()
    assert heard[2:] == ["GETINFO circuit-status", "CLOSECIRCUIT 2"]


def test_several_circuits_are_held(tmp_path):
    answers = [b"250 EXTENDED 1\r\n650 CIRC 1 BUILT x\r\n", b"250 EXTENDED 2\r\n"]
    with scripted(tmp_path, answers[0], answers[1] + b"650 CIRC 2 BUILT x\r\n") as (control, _):
        assert control.hold(["AA"], 2) == ["1", "2"]


def test_a_closed_port_is_told(tmp_path):
    with scripted(tmp_path) as (control, _), pytest.raises(NetworkError):
        control.ask("GETINFO version")
