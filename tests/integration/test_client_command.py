"""`qnet client` and `qnet node status` as a person runs them."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.network import held
from tools.bench.network import local_network
from tools.bench.transfer import download, file_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.e2e]

QNET = str(Path(sys.executable).with_name("qnet"))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def network():
    async with held(local_network(("entry", "relay", "exit"))) as network:
        yield network


async def qnet(*words, expect=0):
    process = await asyncio.create_subprocess_exec(
        QNET, *map(str, words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == expect, err.decode()
    return out.decode(), err.decode()


async def test_up_status_circuits_down(network, tmp_path):
    bundle = tmp_path / "network.json"
    bundle.write_text(json.dumps(network.bundle().to_json()))
    home = ("--home", tmp_path / "client")
    out, warned = await qnet(
        *("client", "up", *home, "--bundle", bundle, "--listen", "127.0.0.1:0", "--json")
    )
    up = json.loads(out)
    assert up["schema"] == "qnet.client.up/1"
    few = f"about {up['data']['users']} active users now; below the 1000 this network aims for"
    assert f"warning: {few}" in warned
    host, _, port = up["data"]["socks"].rpartition(":")
    with file_server() as server:
        sample = await asyncio.to_thread(download, (host, int(port)), server, 1 << 20)
    assert sample.size == 1 << 20
    status = json.loads((await qnet("client", "status", *home, "--json"))[0])
    assert status["data"]["state"] == "up"
    assert status["data"]["warning"].startswith("about ")
    table, warned = await qnet("client", "status", *home)
    assert "users" in table
    assert "warning: about " in warned
    assert status["data"]["streams"]["connected"] == 1
    rows = json.loads((await qnet("client", "circuits", *home, "--json"))[0])["data"]
    assert all(row["roles"] == ["entry", "relay", "exit"] for row in rows)
    table, _ = await qnet("client", "circuits", *home)
    assert "entry > relay > exit" in table
    await qnet("client", "rekey", *home)
    await qnet("client", "down", *home)
    _, error = await qnet("client", "status", *home, expect=5)
    assert "nothing answers" in error


async def test_a_client_that_cannot_come_up_names_stage_and_cause(network, tmp_path):
    bundle = network.bundle().to_json()
    bundle["seeds"] = [bundle["seeds"][0].replace(network.nodes[0].listen, "127.11.0.1:1")]
    path = tmp_path / "network.json"
    path.write_text(json.dumps(bundle))
    _, error = await qnet(
        *("client", "up", "--home", tmp_path / "c", "--bundle", path, "--timeout", "2"), expect=8
    )
    assert "seed: no consensus could be fetched" in error
    assert "cannot connect" in error
    assert "try" in error


async def test_node_status_and_metrics(network):
    home = network.nodes[1].home
    status = json.loads((await qnet("node", "status", "--home", home, "--json"))[0])["data"]
    assert status["role"] == "relay"
    assert status["state"] == "in the consensus"
    _, error = await qnet("node", "status", "--home", home / "nowhere", expect=5)
    assert "nothing answers" in error


async def test_a_second_init_never_overwrites_keys(network):
    node = network.nodes[0]
    _, error = await qnet(
        *("node", "init", "--home", node.home, "--role", "entry", "--listen", node.listen),
        *("--sni", "x.example", "--passphrase-file", network.home / "passphrase"),
        expect=4,
    )
    assert "holds a node already" in error


async def test_a_wrong_passphrase_is_a_key_error(network, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("not it")
    copy = tmp_path / "node"
    (copy / "keys").mkdir(parents=True, mode=0o700)
    source = network.nodes[0].home
    for name in ("identity.json", "receipt.json", "service.bin"):
        (copy / "keys" / name).write_bytes((source / "keys" / name).read_bytes())
        (copy / "keys" / name).chmod(0o600)
    text = (source / "node.toml").read_text().replace(str(network.home / "passphrase"), str(wrong))
    (copy / "node.toml").write_text(text)
    _, error = await qnet("node", "run", "--home", copy, expect=6)
    assert "passphrase" in error
