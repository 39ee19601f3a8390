"""Status, metrics, guide and dashboard of the mixnet say the same."""

import json
import re
import secrets
import time
from pathlib import Path

import pytest

from node.circuit.keys.phase import PhaseKeyring
from node.io.mix_role import Shed
from node.io.mixing import MixIdentity, Mixing, Refused
from node.io.packet_links import Unsent
from node.mix.holding import Refusal
from node.mix.live_paths import LivePaths
from node.mix.unwrap import Cause
from node.mix_status import mix_counters, mix_gauges, mix_status
from qnet.messages.descriptor import Role
from tests.node.io.mix_rig import ListMeter, ListPool

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = (DOCS / "how-to" / "run-a-mix.md").read_text("utf-8")
DASHBOARD = json.loads((DOCS / "assets" / "grafana-mix.json").read_text("utf-8"))


@pytest.fixture
async def mixing():
    return Mixing(
        MixIdentity(3, bytes(32), Role.MIX),
        keyring=PhaseKeyring(7),
        live=LivePaths(secrets.token_bytes),
        pool=ListPool(),
        meter=ListMeter(),
        admits=lambda _cells: True,
        random=secrets.token_bytes,
        now=time.monotonic,
    )


def names(mixing):
    gauges = mix_gauges(mixing, time.monotonic())
    return {*gauges, *(f"{name}_total" for name in mix_counters(mixing))}


async def test_every_metric_stands_in_the_guide_and_no_other(mixing):
    assert set(re.findall(r"qnet_mix_\w+", GUIDE)) == names(mixing)


async def test_the_dashboard_asks_for_metrics_that_exist(mixing):
    asked = {
        name
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
        for name in re.findall(r"qnet_mix_\w+", target["expr"])
    }
    assert asked == names(mixing)


async def test_every_cause_of_a_drop_is_counted_and_explained(mixing):
    _, counts = mix_counters(mixing)["qnet_mix_drops"]
    causes = {cause.value for causes in (Cause, Refusal, Shed, Refused, Unsent) for cause in causes}
    assert counts.keys() == causes
    assert causes <= set(re.findall(r"`(\w+)`", GUIDE))


async def test_status_of_a_mix_and_of_others(mixing):
    mixing.refused[Refused.TOO_FAST] += 2
    status = mix_status(mixing, time.monotonic())
    assert status["drops"] == {"client_too_fast": 2}
    assert status["loops"] == {"judged": 0, "lost": 0, "alarm": False}
    assert status["layer"] == 0
    for word in ("layer", "pool", "late_ms", "loops", "drops", "mailboxes"):
        assert word in status
        assert f"`{word}`" in GUIDE
    mixing.mix = None
    assert "layer" not in mix_status(mixing, time.monotonic())
    assert "qnet_mix_alarm" not in mix_gauges(mixing, time.monotonic())
