"""What docs/how-to/choose-paths.md shows can be read by a client."""

import re
import tomllib
from pathlib import Path

from node.client.command.cli import client
from node.config import ClientConfig
from node.directory.atlas import Atlas

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "choose-paths.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def blocks(kind):
    return [text for found, text in BLOCKS if found == kind]


def test_the_configuration_is_one():
    (text,) = blocks("toml")
    paths = ClientConfig.model_validate(tomllib.loads(text)).paths
    assert paths.exit_countries == {"CH", "IS"}
    assert paths.no_exit_countries == {"US"}


def test_the_tables_can_be_read():
    asmap, countries = blocks("text")
    atlas = Atlas.parse(asmap.encode(), countries.encode())
    assert atlas.asn_of("192.0.2.1") == 64500
    assert atlas.country_of("2001:db8::1") == "IS"


def test_the_commands_exist():
    lines = "".join(blocks("")).splitlines()
    assert len(lines) == 4
    for line in lines:
        program, group, name, *options = line.split()
        assert (program, group) == ("qnet", "client")
        known = {option for parameter in client.commands[name].params for option in parameter.opts}
        assert {option for option in options if option.startswith("--")} <= known
