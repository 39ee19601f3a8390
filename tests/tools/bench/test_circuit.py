import json

import pytest
from click.testing import CliRunner

from qnet.cli.root import root
from tools.bench.circuit import _limit


@pytest.mark.e2e
@pytest.mark.timeout(120)
def test_the_circuit_bench_measures_and_checks():
    words = ("bench", "circuit", "--size-mib", "2", "--repeats", "2", "--builds", "3", "--json")
    result = CliRunner().invoke(root, words)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["schema"] == "qnet.bench.circuit/1"
    rows = {row["name"]: row for row in told["data"]["results"]}
    assert rows["throughput, 1 stream"]["n"] == 2
    assert rows["throughput, 4 streams"]["qnet"] > 0
    assert rows["circuit build"]["n"] == 3
    assert rows["time to first byte, fresh circuit"]["qnet"] > 0
    assert set(told["data"]["cpu_core_ms_per_mib"]) == {"client", "entry", "relay", "exit"}
    assert "MB/s" in told["data"]["limit"]


def test_the_limit_is_told_in_words():
    words = _limit({"client": 12.0, "entry": 6.0})
    assert "18.0 core-ms per MiB" in words
    assert "client" in words
    assert _limit({"client": 0.0}).startswith("unknown")
