"""What docs/how-to/use-the-mixnet.md shows exists, and its figures are those of the code."""

import re
import tomllib
from pathlib import Path

from node.client.command.cli import client
from node.config import ClientConfig
from node.htx.record import UNIT_BYTES
from node.mix.poisson import MEAN_DELAY_MS
from node.mix.rates import STREAMS
from node.mix.streams.wire import BACKWARD_BYTES, FORWARD_BYTES, MAX_BLOCKS

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "use-the-mixnet.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_configuration_is_one():
    (text,) = [text for kind, text in BLOCKS if kind == "toml"]
    config = ClientConfig.model_validate(tomllib.loads(text))
    assert config.tier == "mix"
    assert ClientConfig.model_validate({"network": {"bundle": "x"}}).tier == "circuits"


def test_the_commands_exist():
    lines = [line for kind, text in BLOCKS if not kind for line in text.splitlines()]
    assert len(lines) == 4
    for line in lines:
        words = line.split()
        assert words[:2] == ["qnet", "client"]
        verb = client.commands[words[2]]
        assert verb.make_context(words[2], words[3:]).params is not None


def test_the_figures_are_those_of_the_schedule():
    sent = STREAMS.total_hz * UNIT_BYTES
    assert f"{STREAMS.total_hz:g} packets" in PAGE
    assert f"{sent / 1000:.0f} kB/s, {sent * 86_400 / 1e9:.0f} GB a day" in PAGE
    down, up = MAX_BLOCKS * BACKWARD_BYTES, FORWARD_BYTES
    assert f"at most {STREAMS.payload_hz * down / 1000:.0f} kB/s for all" in PAGE
    assert f"at most {STREAMS.payload_hz * up / 1000:.0f} kB/s, and" in PAGE
    assert f"{6 * MEAN_DELAY_MS + 1000 / STREAMS.payload_hz:.0f} ms: six delays" in PAGE
