from pathlib import Path

import pytest

from qnet.errors import NetworkError
from tools.bench import tor
from tools.bench.tor import lists_path, tor_network, version
from tools.bench.transfer import download, file_server

needs_tor = pytest.mark.skipif(bool(tor.missing()), reason=f"{tor.missing()}: scripts/bench-peers")


def test_a_consensus_is_waited_for_until_it_has_the_path():
    entry = (
        "r entry AAAA BBBB 2030-01-01 00:00:00 127.0.0.1 4001 0\ns Fast Guard Running Stable Valid"
    )
    others = (
        "r relay AAAA BBBB 2030-01-01 00:00:00 127.0.0.1 4002 0\na [::1]:1\ns Fast Running Valid\n"
        "v Tor\nr exit AAAA BBBB 2030-01-01 00:00:00 127.0.0.1 4003 0\ns Exit Fast Running Valid\n"
    )
    assert lists_path(f"{entry}\nv Tor\n{others}")
    assert not lists_path(others)
    assert not lists_path(f"{entry.replace(' Guard', '')}\n{others}")
    assert not lists_path("")


def test_without_tor_it_says_what_to_run(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NetworkError) as caught:
        version()
    assert "tor and tor-gencert not installed" in caught.value.why
    assert caught.value.try_ == ("scripts/bench-peers",)


@needs_tor
@pytest.mark.long
@pytest.mark.timeout(200)
def test_a_private_network_carries_a_file_and_leaves_nothing_behind():
    with tor_network() as network, file_server() as server:
        assert set(network.pids) == {"client", "entry", "relay", "exit"}
        circuit, took_s = network.control.build(network.path)
        assert 0 < took_s < 10
        network.control.close_circuit(circuit)
        sample = download(network.socks, server, 2**20, label="someone")
        assert sample.size == 2**20
        network.control.close_paths()
        pids = [node.process.pid for node in network.nodes.values()]
        home = network.nodes["client"].home
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not home.exists()
