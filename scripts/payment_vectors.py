"""Golden values of premium payments: `brownie run scripts/payment_vectors.py`.

Digests and messages come from the deployed contracts and from eth-account, which must agree. The
tree is attested on chain, and the contract finds every leaf in it. Writes
tests/vectors/payments/contracts.json.
"""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

from brownie import Contract, accounts, chain
from eth_abi import encode
from eth_account import Account
from eth_utils import keccak

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "tests" / "vectors" / "payments" / "contracts.json"
EPOCH = 1
DEPTH = 16
LEAF_KIND = 4
LEAF_TYPES = ["uint8", "uint256", "address", "uint32", "uint32", "uint64", "uint128", "uint32"]
LEAVES = [
    (1, 640, 6400, 10),
    (2, 1, 1, 1),
    (7, 0, 99, 0),
    (4242, 2**40, 2**70, 2**31),
    (65535, 5, 5, 1),
]
ABSENT = [0, 3, 65534]
VOUCHER = [
    ("channel", "address"),
    ("cumulative", "uint128"),
    ("nonce", "uint64"),
    ("epoch", "uint32"),
    ("batchHash", "bytes32"),
]
KEYS = [("epoch", "uint32"), ("keysHash", "bytes32")]
CLOSING = [("epoch", "uint32"), ("issuedUnits", "uint128"), ("logRoot", "bytes32")]
ATTESTATION = [
    ("epoch", "uint32"),
    ("root", "bytes32"),
    ("units", "uint128"),
    ("tokens", "uint64"),
    ("logRoot", "bytes32"),
]
REDEEM = [("epoch", "uint32"), ("relay", "uint32"), ("tokensHash", "bytes32")]
EXIT = [("message", "bytes32"), ("spent", "uint8"), ("to", "address")]
SWAP = [("epoch", "uint32"), ("inputsHash", "bytes32"), ("outputsHash", "bytes32")]


def load(name: str) -> ModuleType:
    """Import a script that stands beside this one."""
    spec = importlib.util.spec_from_file_location(f"qnet_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


vectors = load("contract_vectors")


def leaf_hash(channels: Contract, leaf: tuple[int, ...]) -> bytes:
    """Hash a leaf as the specification says."""
    values = (LEAF_KIND, chain.id, channels.address, EPOCH, *leaf)
    return keccak(keccak(encode(LEAF_TYPES, values)))


def tree(channels: Contract) -> tuple[bytes, dict[int, list[bytes]]]:
    """Return root and paths; every level is made in full, so that nothing is clever."""
    level = [bytes(32)] * (1 << DEPTH)
    for leaf in LEAVES:
        level[leaf[0]] = leaf_hash(channels, leaf)
    paths = {relay: [] for relay in [*(leaf[0] for leaf in LEAVES), *ABSENT]}
    for height in range(DEPTH):
        for relay, path in paths.items():
            path.append(level[(relay >> height) ^ 1])
        level = [keccak(level[at] + level[at + 1]) for at in range(0, len(level), 2)]
    return level[0], paths


def attest(contracts: dict[str, Contract], root: bytes) -> None:
    """Bring an epoch to the point at which its root is attested."""
    channels, committee, token = (
        contracts[name] for name in ("PremiumChannels", "Committee", "QNetToken")
    )
    bond = contracts["Parameters"].get(b"committee_bond_wei".ljust(32, b"\0"))
    for owner in accounts[: len(vectors.SIGNING_KEYS)]:
        token.transfer(owner, bond, {"from": accounts[0]})
        token.approve(committee, bond, {"from": owner})
        committee.depositBond({"from": owner})

    def quorum(digest: bytes) -> tuple[int, bytes]:
        signed = [Account.unsafe_sign_hash(digest, key).signature for key in vectors.SIGNING_KEYS]
        return 2 ** len(signed) - 1, b"".join(signed)

    chain.sleep(vectors.GENESIS - chain.time() + 1)
    keys_hash = vectors.word("keys")
    digest = bytes(channels.keysDigest(EPOCH, keys_hash))
    channels.registerKeys(EPOCH, keys_hash, *quorum(digest), {"from": accounts[0]})
    units = sum(leaf[1] for leaf in LEAVES[:3])
    chain.sleep(channels.issuanceOf(EPOCH)[1] - chain.time() + 1)
    closing = (EPOCH, units, vectors.word("log"))
    digest = bytes(channels.closingDigest(closing))
    channels.closeEpoch(closing, *quorum(digest), {"from": accounts[0]})
    chain.sleep(25 * 3600)
    attestation = (EPOCH, root, units, 11, vectors.word("log"))
    digest = bytes(channels.attestationDigest(attestation))
    channels.attest(attestation, *quorum(digest), {"from": accounts[0]})


def attested_tree(contracts: dict[str, Contract]) -> dict[str, object]:
    """Describe the tree, each leaf as the contract found it."""
    channels = contracts["PremiumChannels"]
    root, paths = tree(channels)
    attest(contracts, root)
    described = []
    for leaf in [*LEAVES, *((relay, 0, 0, 0) for relay in ABSENT)]:
        if channels.attestedOf(EPOCH, (*leaf, paths[leaf[0]])) != leaf[1]:
            raise RuntimeError(f"the contract does not find the leaf of relay {leaf[0]}")
        names = ("relay", "epoch_units", "cum_units", "tokens")
        described.append(
            {name: str(value) for name, value in zip(names, leaf, strict=True)}
            | {"hash": vectors.hex_of(leaf_hash(channels, leaf) if any(leaf[1:]) else bytes(32))}
            | {"path": [vectors.hex_of(sibling) for sibling in paths[leaf[0]]]}
        )
    return {"epoch": str(EPOCH), "root": vectors.hex_of(root), "leaves": described}


def messages(channels: Contract, redeemer: Contract) -> list[dict[str, object]]:
    """Describe everything that is signed by EIP-712."""
    word, holder = vectors.word, accounts[1].address
    voucher = (holder, 2**90 + 1, 2**33, EPOCH, word("batch"))
    attestation = (EPOCH, word("root"), 2**64 + 1, 2**33, word("log"))
    tokens = redemption()
    hashed = keccak(encode(["(bytes32,address,uint8,bytes32,bytes32[4])[]"], [tokens]))
    swap = (EPOCH, word("inputs"), word("outputs"))
    return [
        vectors.typed(channels, name, types, values, digest)
        for name, types, values, digest in (
            ("Voucher", VOUCHER, voucher, channels.voucherDigest(voucher)),
            ("IssuanceKeys", KEYS, (EPOCH, word("keys")), channels.keysDigest(EPOCH, word("keys"))),
            (
                "Closing",
                CLOSING,
                (EPOCH, 2**63, word("log")),
                channels.closingDigest((EPOCH, 2**63, word("log"))),
            ),
            ("Attestation", ATTESTATION, attestation, channels.attestationDigest(attestation)),
            ("Redeem", REDEEM, (EPOCH, 7, hashed), redeemer.redeemDigest(EPOCH, 7, tokens)),
            (
                "Exit",
                EXIT,
                (word("message"), 33, holder),
                redeemer.exitDigest(word("message"), 33, holder),
            ),
            ("Swap", SWAP, swap, redeemer.swapDigest(*swap)),
        )
    ]


def redemption() -> list[tuple[object, ...]]:
    """Tokens of no meaning whose signatures are the points of other vectors."""
    found = json.loads((ROOT / "tests" / "vectors" / "crypto" / "signature.json").read_text())
    points = [vector["signature_eip2537"] for vector in found["vectors"][:3]]
    return [
        (
            vectors.word(f"top {place}"),
            accounts[place].address,
            place + 1,
            vectors.word(f"preimage {place}"),
            [bytes.fromhex(point[at : at + 64]) for at in range(0, 256, 64)],
        )
        for place, point in enumerate(points)
    ]


def instruments(redeemer: Contract) -> dict[str, object]:
    """Describe what is signed blindly."""
    key, top = accounts[2].address, vectors.word("top")
    return {
        "epoch": str(EPOCH),
        "class": "5",
        "key": key,
        "credit": vectors.hex_of(bytes(redeemer.creditMessage(EPOCH, 5, key))),
        "relay": "4242",
        "top": vectors.hex_of(top),
        "refund": key,
        "token": vectors.hex_of(bytes(redeemer.tokenMessage(EPOCH, 4242, top, key))),
    }


def build() -> dict[str, object]:
    """Deploy to the connected, fresh chain and return all vectors."""
    deploy_script = vectors.load_deploy_script()
    members = [
        (accounts[i].address, Account.from_key(key).address, f"http://member-{i}.example")
        for i, key in enumerate(vectors.SIGNING_KEYS)
    ]
    plan = deploy_script.Plan(
        deploy_script.profile_parameters("main"),
        deploy_script.profile_terms("main"),
        members,
        vectors.GENESIS,
        vectors.word("beacon"),
        accounts[0].address,
        vectors.SUPPLY,
    )
    contracts = deploy_script.deploy(accounts[0], plan)
    channels = contracts["PremiumChannels"]
    abi = deploy_script.artifact("Redeemer")["abi"]
    redeemer = Contract.from_abi("Redeemer", channels.redeemer(), abi)
    return {
        "source": "contracts on anvil 1.7.1 (scripts/payment_vectors.py); digests agree with "
        "eth-account 0.13.7, the tree with the contract",
        "chain_id": chain.id,
        "channels": channels.address,
        "redeemer": redeemer.address,
        "domain": vectors.hex_of(bytes(channels.domainSeparator())),
        "messages": messages(channels, redeemer),
        "redemption": [
            {
                "top": vectors.hex_of(top),
                "refund": refund,
                "k": str(units),
                "preimage": vectors.hex_of(preimage),
                "signature": vectors.hex_of(b"".join(signature)),
            }
            for top, refund, units, preimage, signature in redemption()
        ],
        "instruments": instruments(redeemer),
        "tree": attested_tree(contracts),
    }


def main() -> None:
    """Write the vectors."""
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(build(), indent=1) + "\n")
    print(f"written: {OUTPUT.relative_to(ROOT)}")
