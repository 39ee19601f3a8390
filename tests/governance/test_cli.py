"""The commands as people type them, against a real chain."""

import asyncio
import json
import secrets
import time

import pytest

from node.keys import create_keys
from qnet.chain.anvil import EmbeddedChain
from qnet.chain.client import ChainClient
from qnet.wallet.keystore import LIGHT

pytestmark = pytest.mark.chain
NAME = "streams_per_circuit_max"


def pass_time(world, seconds):
    async def work():
        async with ChainClient.connect(world.url) as client:
            chain = EmbeddedChain(client)
            await chain.warp(await chain.now() + seconds)

    asyncio.run(work())


def test_a_vote_from_delegation_to_effect(world, type_in):
    alice = world.words("alice")
    code, (told,), err = type_in("gov", "delegate", "self", *alice)
    assert code == 0
    assert told["schema"] == "qnet.gov.delegate/1"
    assert told["data"]["tx"].startswith("0x")
    assert "nothing is moved" in err
    pass_time(world, 2)
    code, (made,), err = type_in("gov", "propose", "param", NAME, 8, *alice)
    assert code == 0
    assert "recomputed, equal to the governor's" in err
    pass_time(world, 4)
    code, (vote,), _ = type_in("gov", "vote", made["data"]["id"], "for", "--reason", "yes", *alice)
    assert (code, vote["data"]["power"]["amount"]) == (0, "2000000")
    code, (shown,), _ = type_in("gov", "show", "latest", *world.reader(), "--json")
    assert shown["data"]["quorum_reached"]
    assert shown["data"]["votes"][0]["reason"] == "yes"
    assert shown["data"]["actions"][0].startswith(f"set {NAME} 512 -> 8 on Parameters")
    pass_time(world, 20)
    assert type_in("gov", "queue", "latest", *alice)[0] == 0
    code, _, err = type_in("gov", "execute", "latest", *alice)
    assert code == 9
    assert json.loads(err.strip().splitlines()[-1])["error"]["code"] == "Q0943"
    pass_time(world, 5)
    assert type_in("gov", "execute", "latest", "--wait", *alice)[0] == 0
    code, (params,), _ = type_in("gov", "params", NAME, *world.reader(), "--json")
    assert [row["value"] for row in params["data"]] == [8]
    code, (listed,), _ = type_in("gov", "list", *world.reader(), "--json")
    assert listed["data"][0]["state"] == "executed"


def test_dry_run_sends_nothing(world, type_in):
    words = [word for word in world.words("alice") if word not in {"--yes", "--json"}]
    code, _, err = type_in("gov", "delegate", "self", *words, "--dry-run")
    assert code == 0
    assert "nothing was sent" in err
    code, (power,), _ = type_in("gov", "power", *words, "--json")
    assert power["data"]["votes"] == {"amount": "0", "unit": "QNET"}


def test_no_input_without_yes_names_the_flag(world, type_in):
    words = [word for word in world.words("alice") if word not in {"--yes", "--json"}]
    code, _, err = type_in("gov", "delegate", "self", *words, "--no-input")
    assert code == 2
    assert "--yes" in err


def test_missing_account_and_chain_are_usage_and_network_errors(world, type_in):
    code, _, err = type_in("gov", "delegate", "self", *world.reader(), "--yes")
    assert code == 2
    assert "--account" in err
    words = ["--rpc", "http://127.0.0.1:9", "--deployment", str(world.manifest)]
    assert type_in("gov", "status", *words)[0] == 8


@pytest.mark.parametrize("verb", ["status", "params", "list"])
def test_tables_for_people(world, type_in, verb):
    code, (text,), _ = type_in("gov", verb, *world.reader())
    assert code == 0
    if verb == "status":
        assert "voting period s" in text


def test_unknown_things_are_not_found(world, type_in):
    assert type_in("gov", "show", "123456", *world.reader())[0] == 3
    assert type_in("gov", "params", "nope", *world.reader())[0] == 3
    assert type_in("gov", "versions", *world.reader())[0] == 3


def test_operator_registers_bonds_and_unbonds(world, type_in, tmp_path):
    words = world.words("operator")
    create_keys(tmp_path / "node", "correct horse", sni="x.test", now=int(time.time()), cost=LIGHT)
    node = [tmp_path / "node", "--role", "relay"]
    passphrase = ["--node-passphrase-file", world.passphrase_file]
    code, (allowed, told), err = type_in("chain", "register-node", *node, *passphrase, *words)
    assert (code, allowed["schema"]) == (0, "qnet.stake.approve/1")
    assert "registry index 1" in err
    assert len(told["data"]["node_id"]) == 66
    code, documents, _ = type_in("stake", "bond", "5000", *words)
    assert [item["schema"] for item in documents] == ["qnet.stake.approve/1", "qnet.stake.bond/1"]
    code, (listed,), _ = type_in("stake", "list", *words)
    assert (listed["data"]["nodes"][0]["state"], listed["data"]["nodes"][0]["bond"]) == (
        "active",
        "5000",
    )
    assert type_in("stake", "unbond", "6000", *words)[0] == 7
    assert type_in("stake", "unbond", "4500", *words)[0] == 0
    assert type_in("stake", "withdraw", *words)[0] == 9
    pass_time(world, 24 * 3600)
    code, (paid,), _ = type_in("stake", "withdraw", *words)
    assert paid["data"]["amount"] == {"amount": "4500", "unit": "QNET"}
    assert type_in("stake", "withdraw", *words)[0] == 7
    assert type_in("stake", "claim", *words)[0] == 3


def test_strangers_own_no_node(world, type_in):
    assert type_in("stake", "bond", "1", *world.words("bob"))[0] == 3
    assert type_in("stake", "claim", *world.words("bob"))[0] == 3


def test_chain_status_names_every_contract(world, type_in):
    code, (told,), _ = type_in("chain", "status", *world.reader(), "--json")
    assert code == 0
    assert set(told["data"]["contracts"]) >= {"QNetToken", "QNetGovernor", "StakeHub"}


def test_deploy_command_makes_a_manifest(world, type_in, tmp_path):
    seats = [
        {"owner": f"0x{i + 16:040x}", "signer": "0x" + f"{i:040x}", "url": "http://x"}
        for i in range(1, 5)
    ]
    committee = tmp_path / "committee.json"
    committee.write_text(json.dumps(seats))
    manifest = tmp_path / "deployment.json"
    words = ["--rpc", world.url, "--manifest", manifest, "--profile", "devnet"]
    words += ["--committee", committee, "--beacon-anchor", "0x" + secrets.token_hex(32)]
    words += ["--holder", f"0x{'22' * 20}=1.5", "--account", world.keystores["alice"]]
    words += ["--passphrase-file", world.passphrase_file, "--yes", "--json"]
    code, (told,), _ = type_in("chain", "deploy", *words)
    assert code == 0
    assert json.loads(manifest.read_text())["complete"] is True
    assert told["data"]["contracts"].keys() == json.loads(manifest.read_text())["contracts"].keys()
    committee.write_text("[{}]")
    assert type_in("chain", "deploy", *words)[0] == 4
