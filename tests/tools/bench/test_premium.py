"""The bench of premium bandwidth: one short round with real processes, and its watch."""

import threading

import pytest

from tools.bench.issuer import LocalIssuer
from tools.bench.premium import Plan, run
from tools.bench.transfer import Watch


@pytest.mark.e2e
def test_a_short_round_with_real_nodes():
    data = run(Plan(rounds=1, seconds=2.0, rate_kbps=20_000))
    rates = {row["name"]: row["qnet"] for row in data["results"]}
    assert rates["premium"] > rates["free"] > 0
    assert data["relay"]["tokens"] >= 1
    assert data["relay"]["refused"] == {}


def test_a_watch_tells_why_a_download_broke_unless_it_was_ended():
    watch = Watch()
    watch.failed(OSError("gone"))
    assert watch.begun.is_set()
    assert str(watch.error) == "gone"
    ended = Watch()
    ended.stop()
    thread = threading.Thread(target=lambda: ended.failed(OSError()))
    thread.start()
    thread.join()
    assert ended.error is None


def test_keys_reach_other_processes(tmp_path):
    issuer = LocalIssuer.draw()
    issuer.save(tmp_path)
    again = LocalIssuer.load(tmp_path)
    assert again.shown == issuer.shown
