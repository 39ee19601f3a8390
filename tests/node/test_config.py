import json
from dataclasses import replace

import pytest

from node.config import ClientConfig, Endpoint, NodeConfig
from node.errors import NodeConfigError
from node.manifests import load_bundle, load_deployment
from qnet.config import load_toml
from qnet.errors import ConfigError, UsageError
from tools.bench.committee import LocalCommittee

NODE = """
[node]
role = "exit"
listen = "127.0.0.1:4430"
sni = "a.example"
[keys]
passphrase_file = "/secret"
"""


def write(tmp_path, text):
    path = tmp_path / "file"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "host", "port"), [("a.b:1", "a.b", 1), ("[::1]:443", "::1", 443), ("x:0", "x", 0)]
)
def test_endpoints(text, host, port):
    assert Endpoint.parse(text) == Endpoint(host, port)


@pytest.mark.parametrize("text", ["", "host", ":1", "host:", "host:x", "host:70000", "host:²"])
def test_malformed_endpoints(text):
    with pytest.raises(ValueError, match="not host:port"):
        Endpoint.parse(text)


def test_a_node_needs_little(tmp_path):
    config = load_toml(write(tmp_path, NODE), NodeConfig)
    assert config.exit.policy == "none"
    assert not config.exit.allow_private
    assert config.ledger.members == ()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('role = "exit"', 'role = "boss"', "role"),
        ('"127.0.0.1:4430"', '"127.0.0.1"', "listen"),
        ("[keys]", "[kyes]", "keys"),
        ('sni = "a.example"', "", "sni"),
    ],
)
def test_mistakes_name_their_key(tmp_path, old, new, words):
    with pytest.raises(ConfigError, match=words):
        load_toml(write(tmp_path, NODE.replace(old, new)), NodeConfig)


def test_a_client_needs_a_bundle(tmp_path):
    config = load_toml(write(tmp_path, '[network]\nbundle = "n.json"\n'), ClientConfig)
    assert [section.listen for section in config.socks] == ["127.0.0.1:9150"]
    assert config.http == config.dns == ()
    with pytest.raises(ConfigError):
        load_toml(write(tmp_path, "[socks]\n"), ClientConfig)


CLIENT = """[network]
bundle = "n.json"
[[socks]]
listen = "127.0.0.1:1"
[[socks]]
listen = "[::1]:2"
isolate = ["destination"]
raw_address = "refuse"
[dns]
max_connections = 9
[paths]
exit_countries = ["CH"]
"""


def test_a_client_may_have_several_ports_of_a_kind(tmp_path):
    config = load_toml(write(tmp_path, CLIENT), ClientConfig)
    assert [section.raw_address for section in config.socks] == ["warn", "refuse"]
    assert config.socks[0].isolate == {"listener", "label"}
    assert config.socks[1].isolate == {"destination"}
    assert [section.max_connections for section in config.dns] == [9]
    assert config.paths.exit_countries == {"CH"}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"127.0.0.1:1"', '"localhost:1"', "listen"),
        ('["destination"]', '["browser"]', "isolate"),
        ('"refuse"', '"block"', "raw_address"),
        ("max_connections = 9", "max_connections = 0", "max_connections"),
        ("max_connections = 9", 'raw_address = "warn"', "raw_address"),
        ('["CH"]', '["Switzerland"]', "exit_countries"),
    ],
)
def test_a_clients_mistakes_name_their_key(tmp_path, old, new, words):
    with pytest.raises(ConfigError, match=words):
        load_toml(write(tmp_path, CLIENT.replace(old, new)), ClientConfig)


def test_a_client_may_name_bridges_and_a_chain(tmp_path):
    text = 'bridges = ["htx://a", "htx://b"]\n' + CLIENT + '[chain]\nrpc = "http://r"\n'
    config = load_toml(write(tmp_path, text), ClientConfig)
    assert config.bridges == ("htx://a", "htx://b")
    assert config.chain is not None
    assert config.chain.rpc == "http://r"
    assert load_toml(write(tmp_path, CLIENT), ClientConfig).chain is None


def test_a_bundle_has_a_date_and_may_have_bridges(tmp_path):
    bundle = replace(LocalCommittee().bundle(()), bridges=("htx://b",))
    assert bundle.made_at > 0
    assert load_bundle(write(tmp_path, json.dumps(bundle.to_json()))) == bundle
    older = {
        name: value
        for name, value in bundle.to_json().items()
        if name not in {"made_at", "bridges"}
    }
    read = load_bundle(write(tmp_path, json.dumps(older)))
    assert (read.made_at, read.bridges) == (0, ())


def test_a_bundle_reads_back(tmp_path):
    bundle = LocalCommittee({"slot_s": 9}).bundle(("htx://x",))
    path = write(tmp_path, json.dumps(bundle.to_json()))
    assert load_bundle(path) == bundle
    assert bundle.parameters().slot_s == 9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": "other/1"}, "schema"),
        ({"quorum": 9}, "quorum"),
        ({"quorum": "3"}, "quorum"),
        ({"committee": "0x12"}, "address"),
        ({"signers": 5}, "malformed"),
        ({"parameters": []}, "malformed"),
        ({"bridges": 5}, "malformed"),
        ({"made_at": "yesterday"}, "malformed"),
    ],
)
def test_malformed_bundles(tmp_path, change, words):
    content = LocalCommittee().bundle(()).to_json() | change
    with pytest.raises(NodeConfigError) as caught:
        load_bundle(write(tmp_path, json.dumps(content)))
    assert words in f"{caught.value.message} {caught.value.why}"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', "[" * 50_000])
def test_bundles_that_are_no_json(tmp_path, text):
    with pytest.raises(NodeConfigError):
        load_bundle(write(tmp_path, text))


def test_a_missing_bundle_is_said(tmp_path):
    with pytest.raises(NodeConfigError, match="cannot read"):
        load_bundle(tmp_path / "none.json")


def test_devnet_parameters_are_refused_elsewhere():
    from dataclasses import replace

    with pytest.raises(ConfigError):
        replace(LocalCommittee().bundle(()), chain_id=1).parameters()
    with pytest.raises(UsageError):
        replace(LocalCommittee().bundle(()), overrides={"slot_s": 0}).parameters()


def test_a_deployment(tmp_path):
    content = {
        "schema": "qnet.deployment/1",
        "chain_id": 31337,
        "genesis_s": 5,
        "profile": "devnet",
        "contracts": {"NodeRegistry": {"address": "0x" + "11" * 20}},
    }
    deployment = load_deployment(write(tmp_path, json.dumps(content)))
    assert deployment.contracts["NodeRegistry"] == b"\x11" * 20
    del content["genesis_s"]
    with pytest.raises(NodeConfigError):
        load_deployment(write(tmp_path, json.dumps(content)))
