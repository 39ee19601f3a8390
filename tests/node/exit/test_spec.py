"""The section on exits of docs/spec/exits-and-clients.md says what the code does."""

import re
from pathlib import Path

from node.exit.address import SPECIAL, UNSERVED_DOMAINS
from node.exit.race import ATTEMPT_DELAY_S
from node.exit.rules import PRESETS, canonical_text, read_rules

PAGE = (Path(__file__).parents[3] / "docs" / "spec" / "exits-and-clients.md").read_text("utf-8")


def test_special_addresses():
    assert dict(re.findall(r"^\| `([0-9a-f.:]+/\d+)` \| (.+) \|$", PAGE, re.MULTILINE)) == SPECIAL


def test_presets():
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.+)` \|$", PAGE, re.MULTILINE))
    assert {name: canonical_text(read_rules(text)) for name, text in rows.items()} == {
        name: name for name in PRESETS if name != "reduced"
    }
    assert "| `reduced` |" in PAGE


def test_the_delay_of_attempts_and_the_domains_nobody_serves():
    assert f"after {ATTEMPT_DELAY_S * 1000:.0f} ms" in PAGE
    assert all(f"`{domain}`" in PAGE for domain in UNSERVED_DOMAINS)
