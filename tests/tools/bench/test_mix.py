"""The bench of mix packets: every packet arrives, and a peer that loses one fails it."""

import sys

import pytest

from node.mix.unwrap import Deliver
from qnet.errors import CryptoError, NetworkError
from tools.bench import mix
from tools.bench.mix_peer import PeerMissingError, _build, running

ECHO = """
import sys
for line in sys.stdin:
    if line.strip() == "13":
        sys.exit(1)
    print('{"echo": ' + line.strip() + '.5}', flush=True)
"""


def test_every_figure_is_measured():
    data = mix.run(2)
    rows = {row["name"]: row for row in data["results"]}
    assert set(rows) == {
        *(f"unwrap at mix {layer}" for layer in (1, 2, 3)),
        "X25519 alone",
        "client builds a packet",
        "client seals to an address",
        "recipient opens",
    }
    assert all(0 < row["best"] <= row["qnet"] for row in rows.values())
    assert data["unwrap_over_x25519"] > 1


def test_a_lost_packet_fails_the_bench(monkeypatch):
    unwrap = mix.Unwrapper.unwrap

    def lossy(unwrapper, packets):
        results = unwrap(unwrapper, packets)
        return results[1:] if isinstance(results[0], Deliver) else results

    monkeypatch.setattr(mix.Unwrapper, "unwrap", lossy)
    with pytest.raises(CryptoError):
        mix.run(2)


def test_peers_stand_beside_ours():
    ours = {mix.UNWRAP: [10.0, 12.0, 11.0], mix.EXCHANGE: [5.0, 5.0, 5.0]}
    rows = mix._rows(ours, {"other": [22.0, 22.0, 33.0], "x25519-other": [10.0, 10.0, 10.0]})
    by_name = {row["name"]: row for row in rows}
    beside = by_name["unwrap at mix 1, beside other"]
    assert (beside["qnet"], beside["peer"], beside["ratio"]) == (11.0, 22.0, 2.0)
    assert (beside["best"], beside["peer_best"]) == (10.0, 22.0)
    assert by_name["X25519 alone, beside x25519-other"]["ratio"] == 2.0
    assert mix._over(ours) == 2.2


def test_a_peer_answers_lines_and_its_end_is_an_error():
    with running("echo", [sys.executable, "-c", ECHO]) as peer:
        assert peer.measure(64) == {"echo": 64.5}
        with pytest.raises(NetworkError):
            peer.measure(13)


def test_what_cannot_be_built_says_why():
    with pytest.raises(PeerMissingError) as caught:
        _build("other", [sys.executable, "-c", "raise SystemExit('no such thing')"])
    assert "no such thing" in caught.value.why
    with pytest.raises(PeerMissingError):
        _build("other", ["/nonexistent/program"])
