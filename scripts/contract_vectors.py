"""Golden values for other implementations: `brownie run scripts/contract_vectors.py`.

Digests and leaf hashes come from the deployed contracts, trees from npm's merkle-tree, and the
messages no contract hashes from eth-account. Writes tests/vectors/contracts.json.
"""

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType

from brownie import Contract, accounts, chain
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "tests" / "vectors" / "contracts.json"
GENESIS = 1_800_000_000
SUPPLY = 10**27
TREE_SIZES = (1, 2, 3, 4, 7, 16, 33)
SIGNING_KEYS = [keccak(text=f"vector key {i}") for i in range(4)]
KEY_PROOF_DEADLINE = 2**48
REPORT_TYPES = [
    ("epoch", "uint32"),
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


def sample_leaf(epoch: int, node: int) -> tuple[int, ...]:
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


def trees(contracts: dict[str, Contract]) -> list[dict[str, object]]:
    """Return trees over node leaves, by npm's merkle-tree, their hashes checked by the oracle."""
    oracle = contracts["ReportOracle"]
    kinds = ["uint8", "uint256", "address", *(kind for _, kind in LEAF_TYPES)]
    sets = [[sample_leaf(5, node) for node in range(1, size + 1)] for size in TREE_SIZES]
    prefix = [1, chain.id, oracle.address]
    request = {
        "types": kinds,
        "trees": [[[str(item) for item in (*prefix, *leaf)] for leaf in leaves] for leaves in sets],
    }
    answer = subprocess.run(
        ["node", "-e", TREE_PROGRAM],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        input=json.dumps(request),
    )
    described = []
    for leaves, tree in zip(sets, json.loads(answer.stdout), strict=True):
        for leaf, expected in zip(leaves, tree["hashes"], strict=True):
            if hex_of(bytes(oracle.leafHash(leaf))) != expected:
                raise RuntimeError("oracle and merkle-tree disagree about a leaf")
        names = [field for field, _ in LEAF_TYPES]
        fields = [dict(zip(names, map(str, leaf), strict=True)) for leaf in leaves]
        described.append({"leaves": fields, **tree})
    return described


def build() -> dict[str, object]:
    """Deploy to the connected, fresh chain and return all vectors."""
    deploy_script = load_deploy_script()
    signers = [Account.from_key(key).address for key in SIGNING_KEYS]
    anchor, _ = deploy_script.beacon_chain(word("beacon"), 24)
    members = [
        (accounts[i].address, signer, f"http://member-{i}.example")
        for i, signer in enumerate(signers)
    ]
    profile = deploy_script.profile_parameters("main")
    plan = deploy_script.Plan(profile, members, GENESIS, anchor, accounts[0].address, SUPPLY)
    contracts = deploy_script.deploy(accounts[0], plan)
    oracle, committee = contracts["ReportOracle"], contracts["Committee"]
    registry = contracts["NodeRegistry"]

    report = (
        5,
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
        "node_trees": trees(contracts),
    }


def main() -> None:
    """Write the vectors."""
    OUTPUT.write_text(json.dumps(build(), indent=1) + "\n")
    print(f"written: {OUTPUT.relative_to(ROOT)}")
