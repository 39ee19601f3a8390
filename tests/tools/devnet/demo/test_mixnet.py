from prometheus_client import generate_latest
from prometheus_client.registry import CollectorRegistry

from node.io.metrics import Snapshot, SnapshotCollector
from tools.devnet.demo.mixnet import counts_in


def test_counts_are_read_from_the_page_that_nodes_serve():
    counters = {
        "qnet_mix_packets": ("action", {"received": 3.0, "forwarded": 2.0}),
        "qnet_mix_drops": ("cause", {"replayed": 1.0}),
        "qnet_mix_tunnel_packets": ("", {"": 4.0}),
    }
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SnapshotCollector(lambda: Snapshot({}, {}, counters)))
    assert counts_in(generate_latest(registry).decode()) == {
        "packets": {"received": 3, "forwarded": 2},
        "drops": {"replayed": 1},
    }


def test_a_page_without_a_mix_tells_nothing():
    assert counts_in("") == {"packets": {}, "drops": {}}
