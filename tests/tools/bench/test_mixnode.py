"""The bench of a whole mix: what comes out is compared with what went in."""

import json
import secrets

import pytest
from click.testing import CliRunner

from node.circuit.keys.phase import PhaseKeyring
from node.mix.packet import LAYERS
from node.mix.replay import ReplayFilter
from node.mix.unwrap import Deliver, Unwrapper
from qnet.cli.root import root
from qnet.errors import CryptoError
from tools.bench.mix_load import CAME_ROW
from tools.bench.mix_packets import MARK, Target, _make, judge
from tools.bench.mixnode import Load, _match, _sustained

PHASE = 77


@pytest.mark.parametrize("layer", range(1, LAYERS + 1))
def test_a_mix_passes_on_what_the_load_expects(layer):
    keyring, node_id = PhaseKeyring(PHASE), secrets.token_bytes(32)
    unwrapper = Unwrapper(
        node_id, keyring, lambda _phase: [layer], ReplayFilter(1 << 10), secrets.token_bytes
    )
    target = Target(node_id, keyring.public(PHASE), PHASE, layer, sink=4)
    for made in _make(target, 20):
        (result,) = unwrapper.unwrap([made.packet])
        assert (result.next_index, result.delay_ms) == (4, made.delay_ms)
        last = isinstance(result, Deliver)
        packet = result.delivery.encode(secrets.token_bytes) if last else result.packet
        assert packet[4:12] == MARK
        assert judge(packet, target.alive_bytes) == (made.name, made.digest)


def test_changed_doubled_and_strange_packets_fail_the_bench():
    keyring = PhaseKeyring(PHASE)
    target = Target(bytes(32), keyring.public(PHASE), PHASE, 1, sink=4)
    made = _make(target, 3)
    right = CAME_ROW.pack(2.0, made[0].name, made[0].digest)
    load = Load("load", 1.0, 3)
    _match(load, made, [1.0] * 3, right)
    assert load.total_ms == [1000.0]
    assert load.late_ms == [1000.0 - made[0].delay_ms]
    assert round(load.loss, 3) == 0.667
    changed = CAME_ROW.pack(2.0, made[1].name, made[0].digest)
    strange = CAME_ROW.pack(2.0, bytes(16), made[0].digest)
    for came in (right + right, changed, strange):
        with pytest.raises(CryptoError):
            _match(Load("load", 1.0, 3), made, [1.0] * 3, came)


@pytest.mark.e2e
@pytest.mark.timeout(180)
def test_the_bench_measures_a_mix_and_three_hops():
    words = ("bench", "mixnode", "--rate", "500", "--seconds", "1", "--repeats", "1", "--json")
    result = CliRunner().invoke(root, words)
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)["data"]
    rows = {row["name"]: row["qnet"] for row in data["results"]}
    assert rows["one mix at 500/s: loss"] == 0
    assert rows["three hops at 50/s: loss"] == 0
    assert rows["three hops at 50/s: latency p50"] > 30


def test_a_rate_is_sustained_only_if_all_below_it_were_each_time():
    def load(rate, late_ms, sent=2):
        return Load("load", rate, sent, late_ms=[late_ms] * 2, total_ms=[late_ms] * 2)

    assert _sustained([load(5, 1.0), load(10, 2.0), load(5, 1.0), load(10, 60.0)]) == 5
    assert _sustained([load(5, 1.0), load(10, 2.0, sent=3), load(15, 1.0)]) == 5
    assert _sustained([load(5, 70.0)]) == 0
