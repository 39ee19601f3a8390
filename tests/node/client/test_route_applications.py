"""The commands and settings of docs/how-to/route-applications.md are ones that exist."""

import re
import shlex
from pathlib import Path

import click
import pytest

from node.client.command.cli import client
from node.client.command.starting import DEFAULT_HTTP, DEFAULT_SOCKS
from node.client.doors.door import is_address
from node.config import ClientConfig
from qnet.config import load_toml

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "route-applications.md"
TEXT = PAGE.read_text("utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()]
COMMANDS = sorted(
    {found for line in LINES for found in re.findall(r"qnet client [^|>)'\"]+", line)}
)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command):
    words = shlex.split(command.replace("%h", "host.example").replace("%p", "22"))[2:]
    verb = client.commands[words[0]]
    context = verb.make_context(words[0], words[1:])
    assert context.params is not None


def test_every_verb_is_on_the_page():
    shown = {command.split()[2] for command in COMMANDS}
    assert set(client.commands) - shown == {"rekey"}


def test_the_settings_are_ones_the_client_reads(tmp_path):
    (settings,) = [block for block in BLOCKS if block.startswith("[network]")]
    path = tmp_path / "client.toml"
    path.write_text(settings)
    config = load_toml(path, ClientConfig)
    assert len(config.socks) == 2
    assert config.socks[1].raw_address == "refuse"
    assert config.paths.exit_countries == {"CH", "IS"}


def test_the_usual_ports_are_the_ones_on_the_page():
    ports = set(re.findall(r"127\.0\.0\.1:\d+", TEXT))
    assert {DEFAULT_SOCKS, DEFAULT_HTTP} <= ports
    assert all(is_address(port.rpartition(":")[0]) for port in ports)


def test_unknown_options_would_be_noticed():
    with pytest.raises(click.UsageError):
        client.commands["exits"].make_context("exits", ["--no-such-option"])
