"""Commands of `qnet devnet` that need no running network."""

import json
import os

import pytest

from qnet.cli.root import run
from tests.tools.devnet.test_state import example
from tools.devnet.processes import Process
from tools.devnet.state import save


@pytest.fixture
def home(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "chain.out").write_text("one\ntwo\n")
    out, err = str(tmp_path / "logs" / "chain.out"), str(tmp_path / "logs" / "chain.err")
    save(example(tmp_path).with_process(Process("chain", os.getpid(), -1, out, err)))
    return tmp_path


def test_status_of_a_dead_network(home, capsys):
    assert run(["devnet", "status", "--home", str(home), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["data"]
    assert told["healthy"] is False
    assert told["programs"][0]["state"] == "DEAD"
    assert told["programs"][0]["last_words"] == "two"


def test_logs_and_env_and_down(home, capsys):
    assert run(["devnet", "logs", "chain", "--home", str(home)]) == 0
    assert capsys.readouterr().out == "one\ntwo\n"
    assert run(["devnet", "logs", "--home", str(home)]) == 0
    assert "chain  two" in capsys.readouterr().out
    assert run(["devnet", "env", "--home", str(home), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["data"]
    assert told["ALL_PROXY"] == "socks5h://127.0.0.1:19150"
    assert run(["devnet", "down", "--home", str(home / "client")]) == 0
    assert "stopped 0 programs" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["status", "down", "logs", "env"])
def test_without_a_network_each_says_so(tmp_path, capsys, verb):
    assert run(["devnet", verb, "--home", str(tmp_path / "none")]) == 5
    assert "qnet devnet up" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--nodes", "3"], ["--committee", "1"], ["--socks", "10.0.0.1:1"], ["--until", "x"]]
)
def test_impossible_wishes_are_usage_errors(tmp_path, words):
    assert run(["devnet", "up", "--home", str(tmp_path / "net"), *words]) == 2
    assert not (tmp_path / "net").exists()
