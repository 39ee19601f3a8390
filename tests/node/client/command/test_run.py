"""Programs in a network of their own; the client's port is played by a small server."""

import asyncio
import errno
import os
import socket
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from node.client.command import enclosure, run
from node.client.command.run import run_enclosed
from node.client.command.surroundings import Ways
from node.errors import EnclosureError
from qnet.errors import NotFoundError


def enclosed(*command, ways=None, **variables):
    return run_enclosed(command, variables, ways or Ways("127.0.0.1:9"))


@pytest.fixture(scope="module")
def _allowed():
    try:
        enclosed("true")
    except EnclosureError as error:
        pytest.skip(f"no namespaces here: {error.why}")


@asynccontextmanager
async def port(talk):
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield "{}:{}".format(*server.sockets[0].getsockname())


def script(text):
    return (sys.executable, "-c", text)


@pytest.mark.usefixtures("_allowed")
@pytest.mark.parametrize("code", [0, 7])
def test_the_exit_code_is_the_programs(code):
    assert enclosed("sh", "-c", f"exit {code}") == code


@pytest.mark.usefixtures("_allowed")
def test_a_killed_program_exits_as_in_a_shell():
    assert enclosed("sh", "-c", "kill -9 $$") == 128 + 9


@pytest.mark.usefixtures("_allowed")
def test_the_program_keeps_its_user_and_gets_the_variables():
    text = f"import os; assert os.getuid() == {os.getuid()}; assert os.environ['X'] == 'y'"
    assert enclosed(*script(text), X="y") == 0


@pytest.mark.usefixtures("_allowed")
def test_nothing_but_the_ports_can_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = other.getsockname()
        text = (
            "import socket\n"
            f"for where in ({where!r}, ('192.0.2.1', 80), ('127.0.0.1', 9)):\n"
            "    try:\n"
            "        connection = socket.create_connection(where, timeout=2)\n"
            "    except OSError:\n"
            "        continue\n"
            "    if where[1] != 9:\n"
            "        raise SystemExit(f'reached {where}')\n"
            "names = [name for _, name in socket.if_nameindex()]\n"
            "assert names == ['lo'], names\n"
        )
        assert enclosed(*script(text)) == 0


@pytest.mark.usefixtures("_allowed")
async def test_bytes_go_through_the_port_both_ways_until_the_half_close():
    async def talk(reader, writer):
        writer.write((await reader.read(-1))[::-1])
        writer.close()

    text = (
        "import os, socket\n"
        "host, _, number = os.environ['PORT'].rpartition(':')\n"
        "connection = socket.create_connection((host, int(number)))\n"
        "sent = bytes(range(256)) * 4096\n"
        "connection.sendall(sent)\n"
        "connection.shutdown(socket.SHUT_WR)\n"
        "got = b''.join(iter(lambda: connection.recv(65536), b''))\n"
        "assert got == sent[::-1]\n"
    )
    async with port(talk) as at:
        code = await asyncio.to_thread(_in_a_process, at, text)
    assert code == 0


@pytest.mark.usefixtures("_allowed")
async def test_a_reset_stays_a_reset():
    async def talk(reader, writer):
        await reader.readexactly(1)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        writer.transport.abort()

    text = (
        "import os, socket\n"
        "host, _, number = os.environ['PORT'].rpartition(':')\n"
        "connection = socket.create_connection((host, int(number)))\n"
        "connection.sendall(b'x')\n"
        "try:\n"
        "    raise SystemExit(f'read {connection.recv(1)!r}')\n"
        "except ConnectionResetError:\n"
        "    pass\n"
    )
    async with port(talk) as at:
        code = await asyncio.to_thread(_in_a_process, at, text)
    assert code == 0


def test_a_program_that_does_not_exist_is_not_found():
    with pytest.raises(NotFoundError, match="no program"):
        enclosed("no-such-program-anywhere")


def test_a_kernel_that_refuses_is_explained(monkeypatch):
    def refuse(_ports):
        raise OSError(errno.EPERM, "Operation not permitted", "unshare")

    monkeypatch.setattr(enclosure, "enter", refuse)
    ours, theirs = socket.socketpair()
    with ours, pytest.raises(SystemExit) as left:
        enclosure.main([str(theirs.detach()), "127.0.0.1:9", "--", "true"])
    assert left.value.code == EnclosureError.exit_code


def test_what_the_enclosure_says_reaches_the_person():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        socket.send_fds(theirs, [b'{"step": "unshare", "why": "not permitted"}'], [])
        with pytest.raises(EnclosureError) as caught:
            run._listeners(ours, 1)
    assert caught.value.why == "unshare: not permitted"
    assert any("without --strict" in hint for hint in caught.value.try_)


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b"{}"])
def test_a_broken_message_is_no_enclosure(said):
    ours, theirs = socket.socketpair()
    with ours:
        if said:
            theirs.send(said)
        theirs.close()
        with pytest.raises(EnclosureError):
            run._listeners(ours, 1)


def _in_a_process(at, text):
    """`run_enclosed` has an event loop and signal handlers of its own: it needs a main thread."""
    code = (
        "from node.client.command.run import run_enclosed; "
        "from node.client.command.surroundings import Ways; "
        f"raise SystemExit(run_enclosed({script(text)!r}, {{'PORT': {at!r}}}, Ways({at!r})))"
    )
    return subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode
