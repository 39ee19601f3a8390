"""Golden values for other implementations: `brownie run scripts/contract_vectors.py`.

Digests and leaf hashes come from the deployed contracts, trees from npm's merkle-tree (the judge
finds their leaves in a report), and the messages no contract hashes from eth-account. Writes
tests/vectors/contracts.json.
"""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

from brownie import Contract, accounts, chain
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak

Leaf = tuple[object, ...]
Tree = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "tests" / "vectors" / "contracts.json"
GENESIS = 1_800_000_000
SUPPLY = 10**27
TREE_SIZES = (1, 2, 3, 4, 7, 16, 33)
LEAF_EPOCH = 5
BUCKET = 64  # a count that is the lowest of its bucket
NO_NODE_LEAF = ((0,) * 10, [])
NO_RECEIPT = ((0,) * 6 + (bytes(32),), b"")
SIGNING_KEYS = [keccak(text=f"vector key {i}") for i in range(4)]
KEY_PROOF_DEADLINE = 2**48
REPORT_TYPES = [
    ("epoch", "uint32"),
    ("attempt", "uint32"),
    ("paramsHash", "bytes32"),
    ("nodesRoot", "bytes32"),
    ("evidenceRoot", "bytes32"),
    ("auditRoot", "bytes32"),
    ("totalReward", "uint128"),
    ("nodeCount", "uint32"),
    ("dataHash", "bytes32"),
    ("prevReportHash", "bytes32"),
]
LEAF_TYPES = [
    ("epoch", "uint32"),
    ("node", "uint32"),
    ("bond", "uint256"),
    ("stake", "uint256"),
    ("slotP", "uint256"),
    ("w", "uint32"),
    ("rho", "uint32"),
    ("reward", "uint256"),
    ("cumOperator", "uint256"),
    ("cumPool", "uint256"),
]
LINK_LEAF_TYPES = [
    ("epoch", "uint32"),
    ("slot", "uint16"),
    ("nodeFrom", "uint32"),
    ("nodeTo", "uint32"),
    ("sent", "uint64"),
    ("received", "uint64"),
    ("matched", "uint64"),
    ("sentProof", "bytes32"),
    ("receivedProof", "bytes32"),
]
AUDIT_LEAF_TYPES = [
    ("epoch", "uint32"),
    ("slot", "uint16"),
    ("target", "uint32"),
    ("auditors", "uint32[]"),
    ("sent", "uint32[]"),
    ("returned", "uint32[]"),
]
NODE_LEAF, LINK_LEAF, AUDIT_LEAF = 1, 2, 3
RECEIPT_TYPES = [
    ("epoch", "uint32"),
    ("slot", "uint16"),
    ("nodeFrom", "uint32"),
    ("nodeTo", "uint32"),
    ("side", "uint8"),
    ("packets", "uint64"),
    ("sampleRoot", "bytes32"),
]
AUDIT_TYPES = [
    ("epoch", "uint32"),
    ("slot", "uint16"),
    ("auditor", "uint32"),
    ("target", "uint32"),
    ("sent", "uint32"),
    ("returned", "uint32"),
    ("p50Ms", "uint32"),
    ("probeRoot", "bytes32"),
]
TREE_PROGRAM = """
const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");
const { types, trees } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const results = trees.map((leaves) => {
  const tree = StandardMerkleTree.of(leaves, types);
  return {
    root: tree.root,
    hashes: leaves.map((leaf) => tree.leafHash(leaf)),
    proofs: leaves.map((leaf) => tree.getProof(leaf)),
  };
});
process.stdout.write(JSON.stringify(results));
"""


def load_deploy_script() -> ModuleType:
    """Import scripts/deploy.py."""
    spec = importlib.util.spec_from_file_location("qnet_deploy", ROOT / "scripts" / "deploy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hex_of(value: object) -> object:
    """Return 0x text of bytes; leave everything else."""
    return "0x" + bytes(value).hex() if isinstance(value, bytes) else value


def word(text: str) -> bytes:
    """Return a 32-byte value that stands for a word."""
    return keccak(text=text)


def typed(
    contract: Contract,
    name: str,
    types: list[tuple[str, str]],
    values: tuple[object, ...],
    digest: bytes | None = None,
) -> dict[str, object]:
    """Describe one EIP-712 message: fields, digest, and the signature of the first key."""
    message = {field: value for (field, _), value in zip(types, values, strict=True)}
    domain = {
        "name": "QNet",
        "version": "1",
        "chainId": chain.id,
        "verifyingContract": contract.address,
    }
    fields = [{"name": field, "type": kind} for field, kind in types]
    signable = encode_typed_data(domain, {name: fields}, message)
    independent = keccak(b"\x19" + signable.version + signable.header + signable.body)
    if digest is not None and bytes(digest) != independent:
        raise RuntimeError(f"contract and eth-account disagree about {name}")
    signed = Account.sign_message(signable, SIGNING_KEYS[0])
    return {
        "name": name,
        "type": f"{name}({','.join(f'{kind} {field}' for field, kind in types)})",
        "verifying_contract": contract.address,
        "checked_by_contract": digest is not None,
        "values": {
            field: str(value) if isinstance(value, int) else hex_of(value)
            for field, value in message.items()
        },
        "digest": hex_of(independent),
        "signature": hex_of(bytes(signed.signature)),
    }


def sample_leaf(epoch: int, node: int) -> Leaf:
    """Return the leaf of a node, every field different."""
    slot_p = sum(((1000 - 7 * node - slot) % 1001) << (10 * slot) for slot in range(24))
    reward = 10**18 * node + epoch
    return (
        epoch,
        node,
        10**22 * node,
        10**22 * node + 1,
        slot_p,
        1_000_000 - node,
        250_000 + node,
        reward,
        reward * 3,
        node % 3,
    )


def sample_link(slot: int) -> Leaf:
    """Return a link leaf, every field different."""
    sent = BUCKET * (slot + 2)
    names = (word(f"sender's receipt {slot}"), word(f"receiver's receipt {slot}"))
    return (LEAF_EPOCH, slot, slot + 7, slot + 9, sent, sent + 1, sent + 2, *names)


def sample_audit(slot: int) -> Leaf:
    """Return an audit leaf with as many results as its slot's number."""
    auditors = list(range(2, 2 + slot))
    sent = [12 + auditor for auditor in auditors]
    return (LEAF_EPOCH, slot, slot + 3, auditors, sent, [probes - 1 for probes in sent])


def text_of(value: object) -> Any:
    """Return numbers as decimal text and bytes as 0x text, also within lists."""
    if isinstance(value, (list, tuple)):
        return [text_of(item) for item in value]
    return str(value) if isinstance(value, int) else hex_of(value)


def trees(
    oracle: Contract, kind: int, types: list[tuple[str, str]], sets: list[list[Leaf]]
) -> list[Tree]:
    """Return trees over leaves of a kind, by npm's merkle-tree."""
    struct = f"({','.join(name for _, name in types)})"
    head = text_of((kind, chain.id, oracle.address))
    request = {
        "types": ["uint8", "uint256", "address", struct],
        "trees": [[[*head, text_of(leaf)] for leaf in leaves] for leaves in sets],
    }
    answer = subprocess.run(
        ["node", "-e", TREE_PROGRAM],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        input=json.dumps(request),
    )
    names = [field for field, _ in types]
    return [
        {"leaves": [dict(zip(names, text_of(leaf), strict=True)) for leaf in leaves], **tree}
        for leaves, tree in zip(sets, json.loads(answer.stdout), strict=True)
    ]


def check_node_hashes(oracle: Contract, sets: list[list[Leaf]], found: list[Tree]) -> None:
    """Hold the hashes of node leaves against the oracle's."""
    for leaves, tree in zip(sets, found, strict=True):
        for leaf, expected in zip(leaves, tree["hashes"], strict=True):
            if hex_of(bytes(oracle.leafHash(leaf))) != expected:
                raise RuntimeError("oracle and merkle-tree disagree about a leaf")


def check_in_report(
    contracts: dict[str, Contract],
    reveal: bytes,
    links: tuple[list[Leaf], Tree],
    audits: tuple[list[Leaf], Tree],
) -> None:
    """Report link and audit leaves in epoch 0 and let the court's judge find each of them.

    They are of another epoch than the report, so each is a proof that it is wrong; a leaf whose
    hash is not in the tree reverts.
    """
    chain.sleep(GENESIS - chain.time() + 1)
    token, committee = contracts["QNetToken"], contracts["Committee"]
    for owner in accounts[: len(SIGNING_KEYS)]:
        bond = contracts["Parameters"].get(b"committee_bond_wei".ljust(32, b"\0"))
        token.transfer(owner, bond, {"from": accounts[0]})
        token.approve(committee, bond, {"from": owner})
        committee.depositBond({"from": owner})
    epochs, oracle = contracts["Epochs"], contracts["ReportOracle"]
    epochs.startEpoch(0, reveal, {"from": accounts[0]})
    chain.sleep(epochs.epochEnd(0) - chain.time() + 1)
    roots = [bytes.fromhex(tree["root"][2:]) for _, tree in (links, audits)]
    params = bytes(epochs.epochInfo(0)[0])
    report = (0, 0, params, bytes(32), *roots, 0, 0, word("data"), bytes(32))
    digest = bytes(oracle.reportDigest(report))
    signed = [Account.unsafe_sign_hash(digest, key).signature for key in SIGNING_KEYS]
    oracle.submit(report, 2 ** len(signed) - 1, b"".join(signed), {"from": accounts[0]})

    abi = load_deploy_script().artifact("ReportJudge")["abi"]
    judge = Contract.from_abi("ReportJudge", contracts["DisputeCourt"].judge(), abi)
    for leaf, proof in zip(links[0], links[1]["proofs"], strict=True):
        judge.proveBadLink(0, bytes(32), 0, leaf, proof, *NO_RECEIPT, *NO_RECEIPT)
    for leaf, proof in zip(audits[0], audits[1]["proofs"], strict=True):
        judge.proveBadMedian(0, bytes(32), 0, leaf, proof, NO_NODE_LEAF, NO_NODE_LEAF)


def build() -> dict[str, object]:
    """Deploy to the connected, fresh chain and return all vectors."""
    deploy_script = load_deploy_script()
    signers = [Account.from_key(key).address for key in SIGNING_KEYS]
    anchor, beacon = deploy_script.beacon_chain(word("beacon"), 24)
    members = [
        (accounts[i].address, signer, f"http://member-{i}.example")
        for i, signer in enumerate(signers)
    ]
    profile = deploy_script.profile_parameters("main")
    terms = deploy_script.profile_terms("main")
    plan = deploy_script.Plan(profile, terms, members, GENESIS, anchor, accounts[0].address, SUPPLY)
    contracts = deploy_script.deploy(accounts[0], plan)
    oracle, committee = contracts["ReportOracle"], contracts["Committee"]
    registry = contracts["NodeRegistry"]

    nodes = [[sample_leaf(LEAF_EPOCH, node) for node in range(1, size + 1)] for size in TREE_SIZES]
    links = [sample_link(slot) for slot in range(7)]
    audits = [sample_audit(slot) for slot in range(7)]
    node_trees = trees(oracle, NODE_LEAF, LEAF_TYPES, nodes)
    link_trees = trees(oracle, LINK_LEAF, LINK_LEAF_TYPES, [links])
    audit_trees = trees(oracle, AUDIT_LEAF, AUDIT_LEAF_TYPES, [audits])
    check_node_hashes(oracle, nodes, node_trees)
    check_in_report(contracts, beacon[-1], (links, link_trees[0]), (audits, audit_trees[0]))

    report = (
        5,
        2,
        bytes(contracts["Parameters"].paramsHash()),
        word("nodes"),
        word("evidence"),
        word("audits"),
        123_456_789_012_345_678_901,
        77,
        word("data"),
        word("previous"),
    )
    proof = (accounts[1].address, word("node"), signers[0], KEY_PROOF_DEADLINE)
    consensus = (1_800_003_600, word("consensus"))
    proof_types = [
        ("owner", "address"),
        ("nodeId", "bytes32"),
        ("receiptKey", "address"),
        ("deadline", "uint256"),
    ]
    consensus_types = [("validAfter", "uint64"), ("hash", "bytes32")]
    return {
        "source": "contracts on anvil 1.7.1 (scripts/contract_vectors.py); trees by npm "
        "@openzeppelin/merkle-tree 1.0.8; messages no contract hashes by eth-account 0.13.7",
        "chain_id": chain.id,
        "domain": {"name": "QNet", "version": "1"},
        "contracts": {name: contract.address for name, contract in contracts.items()},
        "deployer": accounts[0].address,
        "signing_keys": [hex_of(key) for key in SIGNING_KEYS],
        "signers": signers,
        "parameters": {
            "profile": "main",
            "values": {name: str(value) for name, (value, _, _) in profile.items()},
            "hash": hex_of(bytes(contracts["Parameters"].paramsHash())),
        },
        "beacon": {"seed": hex_of(word("beacon")), "slots": 24, "anchor": hex_of(anchor)},
        "messages": [
            typed(oracle, "EpochReport", REPORT_TYPES, report, oracle.reportDigest(report)),
            typed(
                committee,
                "Consensus",
                consensus_types,
                consensus,
                committee.consensusDigest(*consensus),
            ),
            typed(registry, "KeyProof", proof_types, proof, registry.keyProofDigest(*proof)),
            typed(oracle, "LinkReceipt", RECEIPT_TYPES, (5, 3, 7, 9, 1, 2**40 + 1, word("tags"))),
            typed(oracle, "AuditResult", AUDIT_TYPES, (5, 3, 2, 9, 12, 11, 145, word("probes"))),
        ],
        "node_trees": node_trees,
        "link_trees": link_trees,
        "audit_trees": audit_trees,
    }


def main() -> None:
    """Write the vectors."""
    OUTPUT.write_text(json.dumps(build(), indent=1) + "\n")
    print(f"written: {OUTPUT.relative_to(ROOT)}")
