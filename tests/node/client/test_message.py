"""The commands and settings of docs/how-to/message.md are ones that exist."""

import re
import shlex
from pathlib import Path

import pytest

from node.client.command.cli import client
from node.client.mix.cli import msg
from node.client.mix.rows import State
from node.config import ClientConfig
from node.errors import MixOffError
from qnet.config import load_toml

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "message.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [
    found
    for kind, block in BLOCKS
    if not kind
    for found in re.findall(r"qnet (?:msg|client) .+", block)
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.pdf").touch()
    _, group, verb, *words = shlex.split(command)
    found = {"msg": msg, "client": client}[group].commands[verb]
    assert found.make_context(verb, words).params is not None


def test_every_verb_and_state_is_on_the_page():
    assert {command.split()[2] for command in COMMANDS if " msg " in command} == set(msg.commands)
    assert {f"| {state} |" in TEXT for state in State} == {True}
    assert MixOffError.code in TEXT


def test_the_setting_is_one_the_client_reads(tmp_path):
    ((_, settings),) = [block for block in BLOCKS if block[0] == "toml"]
    path = tmp_path / "client.toml"
    path.write_text(f'{settings}\n[network]\nbundle = "network.json"\n')
    assert load_toml(path, ClientConfig).mix.messages


def test_the_python_program_is_one_that_compiles():
    ((_, program),) = [block for block in BLOCKS if block[0] == "python"]
    compile(program, str(PAGE), "exec")
