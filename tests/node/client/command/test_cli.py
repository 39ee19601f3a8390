"""Commands against a control socket that answers from a table."""

import asyncio
import json

import pytest
import pytest_asyncio

from node.errors import CircuitError, Stage
from node.io.control import ControlServer
from qnet.cli.root import run
from tests.node.client.command.test_screens import FACTS

DOORS = {
    "socks": ["127.0.0.1:1"],
    "http": ["127.0.0.1:2"],
    "dns": [],
    "pac": "function x() {}\n",
    "warnings": [],
}
USERS = {"users": 7, "anonymity": "small", "warning": "about 7 active users now"}
EXIT = {"index": 3, "country": "CH", "policy": "web", "share_ppm": 10**6, "kbps": 9}
SPEED = {"path": [1, 2, 3], "build_ms": 5.0, "round_trip_ms": [1.0, 2.0, None], "bytes": 0}


class Running:
    """A client that says what the test wants."""

    def __init__(self, home):
        self.home = home
        self.answers = {"doors": DOORS}
        self.asked = []

    def handlers(self):
        names = ("doors", "status", "circuits", "new", "rekey", "down", "exits", "check", "speed")

        def handler(name):
            async def answer(arguments):
                self.asked.append((name, dict(arguments)))
                found = self.answers[name]
                if isinstance(found, Exception):
                    raise found
                return found

            return answer

        return {name: handler(name) for name in names}

    async def qnet(self, *words):
        """Run a command in this process and return its exit code."""
        return await asyncio.to_thread(run, ["client", "--home", str(self.home), *words])


@pytest_asyncio.fixture
async def running(tmp_path):
    made = Running(tmp_path)
    async with ControlServer(made.handlers()).serve(tmp_path / "control.sock"):
        yield made


def test_a_client_that_is_off_is_told_how_to_start(tmp_path, capsys):
    assert run(["client", "--home", str(tmp_path), "status"]) == 5
    assert "try   qnet client up" in capsys.readouterr().err


async def test_env_prints_lines_and_json(running, capsys):
    assert await running.qnet("env", "--isolate", "me") == 0
    assert "export ALL_PROXY=socks5h://me:qnet@127.0.0.1:1\n" in capsys.readouterr().out
    assert await running.qnet("env", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["schema"] == "qnet.client.env/1"
    assert answer["data"]["HTTPS_PROXY"] == "http://127.0.0.1:2"


@pytest.mark.parametrize("label", ["a:b", "x" * 256])
async def test_labels_that_cannot_be_sent_are_refused(running, label):
    assert await running.qnet("env", "--isolate", label) == 2


async def test_ports_that_others_can_use_are_warned_about(running, capsys):
    running.answers["doors"] = DOORS | {"warnings": ["the socks port is open to all"]}
    await running.qnet("env")
    assert "warning: the socks port is open to all" in capsys.readouterr().err


async def test_pac_needs_the_http_port_for_its_address_only(running, capsys):
    assert await running.qnet("pac", "--url") == 0
    assert capsys.readouterr().out == "http://127.0.0.1:2/proxy.pac\n"
    running.answers["doors"] = DOORS | {"http": []}
    assert await running.qnet("pac") == 0
    assert capsys.readouterr().out == DOORS["pac"]
    assert await running.qnet("pac", "--url") == 8
    assert "client.toml names no [http]" in capsys.readouterr().err


async def test_without_a_socks_port_nothing_connects(running, capsys):
    running.answers["doors"] = DOORS | {"socks": []}
    assert await running.qnet("connect", "a.test", "22") == 8
    assert "no SOCKS port" in capsys.readouterr().err


async def test_status_says_by_its_exit_code_whether_the_client_is_up(running, capsys):
    running.answers["status"] = FACTS | USERS | {"warnings": ["two"]}
    assert await running.qnet("status") == 0
    said = capsys.readouterr()
    assert "state      up" in said.out
    assert "warning: about 7 active users now\nwarning: two\n" in said.err
    running.answers["status"] = FACTS | USERS | {"state": "no circuit"}
    assert await running.qnet("status", "--json") == 1


async def test_circuits_are_a_table(running, capsys):
    running.answers["circuits"] = FACTS["paths"]
    assert await running.qnet("circuits") == 0
    assert "1 > 2 > 3" in capsys.readouterr().out


async def test_exits_fit_or_the_answer_is_no(running, capsys):
    row = EXIT | {"admits_port": True, "usable": True}
    running.answers["exits"] = {"port": 22, "exits": [row], **USERS}
    assert await running.qnet("exits", "--port", "22", "--country", "ch") == 0
    assert running.asked[-1] == ("exits", {"port": 22, "country": "CH"})
    assert "100.00 %" in capsys.readouterr().out
    running.answers["exits"] = {"port": 22, "exits": [row | {"admits_port": False}], **USERS}
    assert await running.qnet("exits") == 1
    assert await running.qnet("exits", "--port", "65536") == 2


@pytest.mark.parametrize(("verdict", "code"), [("pass", 0), ("fail", 1)])
async def test_check_answers_with_its_verdict(running, capsys, verdict, code):
    row = {"name": "clock", "verdict": verdict, "evidence": "because"}
    running.answers["check"] = {"verdict": verdict, "rows": [row]}
    assert await running.qnet("check") == code
    assert "because" in capsys.readouterr().out


async def test_speed_without_goodput_says_why(running, capsys):
    running.answers["speed"] = SPEED | {"goodput_bytes_s": None, "problem": "busy"}
    assert await running.qnet("speed", "--mib", "2", "--timeout", "10") == 1
    assert running.asked[-1] == ("speed", {"size": 2 << 20, "within_s": 5})
    assert "goodput was not measured: busy" in capsys.readouterr().err
    running.answers["speed"] = SPEED | {"goodput_bytes_s": 3_000_000, "problem": ""}
    assert await running.qnet("speed") == 0
    assert "3.0" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["new", "rekey", "down"])
async def test_the_rest_hands_over_what_the_client_says(running, capsys, verb):
    running.answers[verb] = {"retired": 3}
    assert await running.qnet(verb, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": f"qnet.client.{verb}/1",
        "data": {"retired": 3},
    }


async def test_an_error_of_the_client_keeps_code_stage_and_exit(running, capsys):
    running.answers["new"] = CircuitError(Stage.CIRCUIT, "no circuit", why="all guards are down")
    assert await running.qnet("new", "--json") == CircuitError.exit_code
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["code"] == CircuitError.code
    assert error["message"] == "circuit: no circuit"
    assert error["why"] == "all guards are down"
