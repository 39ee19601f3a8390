"""The product's messages against the values that contracts, eth-account and npm computed."""

import json
from pathlib import Path
from typing import Any

import pytest

from qnet.chain.layout import create_address
from qnet.crypto.keys import ReceiptKey, keccak256, recover
from qnet.eip712 import digest, qnet_domain
from qnet.merkle import StandardTree, verify
from qnet.messages.audit import AuditResult
from qnet.messages.consensus import consensus_digest
from qnet.messages.receipt import LinkReceipt, Side
from qnet.messages.report import AuditLeaf, EpochReport, LinkLeaf, NodeLeaf
from qnet.parameters import NetworkParameters

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "contracts.json").read_text(encoding="utf-8")
)
CHAIN_ID = VECTORS["chain_id"]
MESSAGES = {message["name"]: message for message in VECTORS["messages"]}
ORACLE = bytes.fromhex(VECTORS["contracts"]["ReportOracle"][2:])


def from_hex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def value_of(item: str | list[str]) -> Any:
    """Decimal text becomes a number, 0x text bytes, a list a tuple."""
    if isinstance(item, list):
        return tuple(map(value_of, item))
    return from_hex(item) if item.startswith("0x") else int(item)


def parsed(values: dict[str, Any]) -> list[Any]:
    """Fields in order."""
    return [value_of(item) for item in values.values()]


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_digest_and_signature_of_every_message(name: str) -> None:
    message = MESSAGES[name]
    domain = qnet_domain(CHAIN_ID, from_hex(message["verifying_contract"]))
    found = digest(domain, message["type"], parsed(message["values"]))
    assert found == from_hex(message["digest"])
    key = ReceiptKey(from_hex(VECTORS["signing_keys"][0]))
    assert key.address == from_hex(VECTORS["signers"][0])
    assert key.sign(found) == from_hex(message["signature"])
    assert recover(found, from_hex(message["signature"])) == key.address


def test_typed_messages_agree() -> None:
    domain = qnet_domain(CHAIN_ID, ORACLE)
    report = EpochReport(*parsed(MESSAGES["EpochReport"]["values"]))
    assert report.digest(domain) == from_hex(MESSAGES["EpochReport"]["digest"])
    audit = AuditResult(*parsed(MESSAGES["AuditResult"]["values"]))
    assert audit.digest(domain) == from_hex(MESSAGES["AuditResult"]["digest"])
    epoch, slot, sender, receiver, side, packets, root = parsed(MESSAGES["LinkReceipt"]["values"])
    receipt = LinkReceipt(epoch, slot, sender, receiver, Side(side), packets, root)
    assert receipt.digest(domain) == from_hex(MESSAGES["LinkReceipt"]["digest"])
    committee = from_hex(VECTORS["contracts"]["Committee"])
    anchored = consensus_digest(CHAIN_ID, committee, *parsed(MESSAGES["Consensus"]["values"]))
    assert anchored == from_hex(MESSAGES["Consensus"]["digest"])


TREES = [
    pytest.param(leaf, vector, id=f"{kind}-{len(vector['leaves'])}")
    for kind, leaf in (("node", NodeLeaf), ("link", LinkLeaf), ("audit", AuditLeaf))
    for vector in VECTORS[f"{kind}_trees"]
]


@pytest.mark.parametrize(("kind", "vector"), TREES)
def test_leaves_and_their_trees(kind: Any, vector: dict[str, Any]) -> None:
    leaves = [kind(*parsed(leaf)).hash(CHAIN_ID, ORACLE) for leaf in vector["leaves"]]
    assert leaves == [from_hex(item) for item in vector["hashes"]]
    tree = StandardTree(leaves)
    assert tree.root == from_hex(vector["root"])
    for place, expected in enumerate(vector["proofs"]):
        proof = [from_hex(item) for item in expected]
        assert tree.proof(place) == proof
        assert verify(tree.root, leaves[place], proof)


def test_parameters_hash() -> None:
    vector = VECTORS["parameters"]
    parameters = NetworkParameters.profile(vector["profile"])
    assert {name: str(value) for name, value in parameters.to_map().items()} == vector["values"]
    assert parameters.hash() == from_hex(vector["hash"])


def test_addresses_follow_from_deployer_and_nonce() -> None:
    deployer = from_hex(VECTORS["deployer"])
    offsets = {"QNetToken": 0, "QNetTimelock": 2, "ReportOracle": 10, "DisputeCourt": 16}
    for name, nonce in offsets.items():
        assert create_address(deployer, nonce) == from_hex(VECTORS["contracts"][name])


def test_beacon_chain() -> None:
    value = from_hex(VECTORS["beacon"]["seed"])
    for _ in range(VECTORS["beacon"]["slots"]):
        value = keccak256(value)
    assert value == from_hex(VECTORS["beacon"]["anchor"])
