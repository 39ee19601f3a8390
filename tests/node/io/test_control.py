import asyncio
import contextlib
import json
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.errors import ControlError, NodeOffError, UnknownNodeError
from node.io.control import (
    MAX_REQUEST_BYTES,
    ControlServer,
    RemoteControlError,
    call,
    call_blocking,
)


async def _echo(arguments):
    return dict(arguments)


async def _fail(_arguments):
    raise UnknownNodeError("no such node", why="it left", try_=("look again",))


@pytest.fixture
async def path(tmp_path):
    path = tmp_path / "control.sock"
    async with ControlServer({"echo": _echo, "fail": _fail}).serve(path):
        yield path


async def raw(path, data):
    reader, writer = await asyncio.open_unix_connection(str(path))
    with contextlib.suppress(OSError):
        writer.write(data)
        writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_command_is_answered(path):
    assert await call(path, "echo", a=1) == {"a": 1}


async def test_the_socket_is_private(path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_errors_keep_code_cause_and_exit(path):
    with pytest.raises(RemoteControlError) as caught:
        await call(path, "fail")
    error = caught.value
    assert (error.code, error.exit_code, error.why) == (UnknownNodeError.code, 3, "it left")
    assert error.try_ == ("look again",)


async def test_unknown_commands_are_errors(path):
    with pytest.raises(RemoteControlError, match="unknown control command"):
        await call(path, "nonsense")


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"{\n", b"[]\n", b'{"command": 1}\n', b"\xff\n", b"[" * 20_000 + b"\n"]
)
async def test_garbage_gets_an_error_and_the_server_lives(path, data):
    assert "error" in json.loads(await raw(path, data))
    assert await call(path, "echo") == {}


async def test_an_endless_line_is_dropped(path):
    assert await raw(path, b"x" * (2 * MAX_REQUEST_BYTES)) == b""
    assert await call(path, "echo") == {}


async def test_a_silent_client_is_dropped(path, monkeypatch):
    monkeypatch.setattr("node.io.control.REQUEST_TIMEOUT_S", 0.05)
    reader, writer = await asyncio.open_unix_connection(str(path))
    assert await reader.read() == b""
    writer.close()


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_fuzzed_requests_never_kill_the_server(tmp_path, data):
    async def talk():
        path = tmp_path / "fuzz.sock"
        async with ControlServer({"echo": _echo}).serve(path):
            await raw(path, data)
            assert await call(path, "echo", x=2) == {"x": 2}

    asyncio.run(talk())


def test_nothing_listening_is_said(tmp_path):
    with pytest.raises(NodeOffError):
        call_blocking(tmp_path / "none.sock", "status")


@pytest.mark.parametrize("answer", [b"\n", b"[]\n", b"{}\n", b"\xff\n", b""])
async def test_malformed_answers_are_refused(tmp_path, answer):
    async def talk(_reader, writer):
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(talk, str(tmp_path / "bad.sock"))
    async with server:
        with pytest.raises((ControlError, NodeOffError)):
            await call(tmp_path / "bad.sock", "status")


async def test_long_paths_work(tmp_path):
    folder = tmp_path / ("d" * 120)
    folder.mkdir()
    async with ControlServer({"echo": _echo}).serve(folder / "control.sock"):
        assert await call(folder / "control.sock", "echo") == {}
    assert not (folder / "control.sock").exists()
