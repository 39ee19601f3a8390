import os
import socket
import stat
import tempfile

import pytest

from qnet.chain.anvil import Anvil, AnvilOptions, EmbeddedChain, find_anvil
from qnet.chain.client import ChainClient
from qnet.chain.errors import AnvilMissingError, AnvilStartError
from qnet.errors import UsageError

pytestmark = pytest.mark.chain


def test_the_program_is_found_through_the_environment(monkeypatch, tmp_path):
    program = tmp_path / "my-anvil"
    program.write_text("#!/bin/sh\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("QNET_ANVIL", str(program))
    assert find_anvil() == program


def test_a_wrong_environment_variable_is_told(monkeypatch):
    monkeypatch.setenv("QNET_ANVIL", "/nowhere/anvil")
    with pytest.raises(AnvilMissingError, match="QNET_ANVIL names /nowhere/anvil"):
        find_anvil()


def test_npm_comes_before_path(monkeypatch, tmp_path):
    monkeypatch.delenv("QNET_ANVIL", raising=False)
    on_path = tmp_path / "bin/anvil"
    in_npm = tmp_path / "node_modules/.bin/anvil"
    for program in (on_path, in_npm):
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_anvil(tmp_path) == in_npm
    in_npm.unlink()
    assert find_anvil(tmp_path) == on_path


def test_a_missing_program_is_told_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.delenv("QNET_ANVIL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AnvilMissingError) as raised:
        find_anvil(tmp_path)
    assert raised.value.exit_code == 4
    assert "npm ci" in raised.value.try_


def test_a_taken_port_is_told():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(AnvilStartError, match=f"port {port} is taken"):
            Anvil(AnvilOptions(port=port)).start()


def test_the_port_other_tools_attach_to_is_refused():
    with pytest.raises(UsageError, match="8545"):
        Anvil(AnvilOptions(port=8545)).start()


def test_a_program_that_ends_at_once_shows_its_last_words(monkeypatch, tmp_path):
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\necho no space left; exit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("QNET_ANVIL", str(program))
    with pytest.raises(AnvilStartError) as raised:
        Anvil().start()
    assert "code 3" in raised.value.message
    assert raised.value.why == "no space left"


def test_stopping_ends_the_process_and_leaves_its_log_only(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    log = tmp_path / "anvil.log"
    chain = Anvil(log=log)
    with chain:
        pid = chain.pid
        assert list((tmp_path / "temporary").iterdir())
        assert pid > 0
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert log.stat().st_size > 0
    assert not list((tmp_path / "temporary").iterdir())
    chain.stop()


async def test_final_means_two_blocks_behind_the_latest():
    with Anvil(AnvilOptions(block_time_s=0)) as running:
        async with ChainClient.connect(running.url) as client:
            await EmbeddedChain(client).mine(10)
            assert (await client.block("latest")).number == 10
            assert (await client.block("finalized")).number == 8
            assert await client.request("eth_accounts") == []


async def test_the_clock_can_be_set_forward():
    with Anvil(AnvilOptions(block_time_s=0)) as running:
        async with ChainClient.connect(running.url) as client:
            control = EmbeddedChain(client)
            later = await control.now() + 1000
            await control.warp(later)
            assert await control.now() == later
