"""A deployed network to test against: contracts, people, and what they do together."""

import importlib.util
from contextlib import contextmanager
from pathlib import Path

from brownie import accounts, web3
from brownie.exceptions import VirtualMachineError
from eth_abi import encode
from eth_account import Account
from eth_utils import keccak
from tree import Tree

ROOT = Path(__file__).resolve().parents[2]
QNET = 10**18
DAY = 86_400
MEMBERS = 4
BEACON_EPOCHS = 16
ENTRY, RELAY, MIX, EXIT = 1, 2, 3, 4
NONE, REGISTERED, ACTIVE, RETIRED, JAILED, TOMBSTONED = range(6)
SUBMITTED, FINAL, DISABLED = 1, 2, 3
NEVER = 2**256 - 1

KEY_PROOF = [
    {"name": "owner", "type": "address"},
    {"name": "nodeId", "type": "bytes32"},
    {"name": "receiptKey", "type": "address"},
    {"name": "deadline", "type": "uint256"},
]
CONSENSUS = [{"name": "validAfter", "type": "uint64"}, {"name": "hash", "type": "bytes32"}]
REPORT = [
    {"name": "epoch", "type": "uint32"},
    {"name": "paramsHash", "type": "bytes32"},
    {"name": "nodesRoot", "type": "bytes32"},
    {"name": "evidenceRoot", "type": "bytes32"},
    {"name": "auditRoot", "type": "bytes32"},
    {"name": "totalReward", "type": "uint128"},
    {"name": "nodeCount", "type": "uint32"},
    {"name": "dataHash", "type": "bytes32"},
    {"name": "prevReportHash", "type": "bytes32"},
]
LEAF_TYPES = [
    "uint8",
    "uint256",
    "address",
    "uint32",
    "uint32",
    "uint256",
    "uint256",
    "uint256",
    "uint32",
    "uint32",
    "uint256",
    "uint256",
    "uint256",
]


def load_deploy_script():
    """Import scripts/deploy.py."""
    spec = importlib.util.spec_from_file_location("qnet_deploy", ROOT / "scripts" / "deploy.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


deployment = load_deploy_script()


@contextmanager
def refused(error, *values):
    """Expect a custom error, with these arguments if any are given."""
    try:
        yield
    except VirtualMachineError as problem:
        message = problem.revert_msg or str(problem)
    except ValueError as problem:
        message = str(problem).removeprefix("Call reverted: ")
    else:
        raise AssertionError(f"expected {error}, nothing was refused")
    if values:
        expected = f"{error}: {', '.join(str(value) for value in values)}"
        assert message.lower() == expected.lower(), message
    else:
        assert message.split(":")[0] == error, message


def rpc(method, *params):
    """Ask the chain for something Brownie has no words for."""
    answer = web3.provider.make_request(method, list(params))
    if "error" in answer:
        raise RuntimeError(f"{method}: {answer['error']}")
    return answer["result"]


def now():
    """Return the time of the latest block."""
    return web3.eth.get_block("latest")["timestamp"]


def bytes32(text):
    """Return a 32-byte value that stands for a word."""
    return keccak(text=text)


class World:
    """The network of a test, on the main network's parameters."""

    def __init__(self, parameters=None, members=MEMBERS, vault=500_000_000 * QNET):
        self.deployer = accounts[0]
        self.holder = accounts[1]
        self.operators = accounts[2:5]
        self.member_owners = [accounts.add() for _ in range(members)]
        self.signers = [Account.create() for _ in range(members)]
        values = deployment.profile_parameters("main") | (parameters or {})
        self.genesis = now() + DAY
        slots = values["slots_per_epoch"][0]
        anchor, self.beacon = deployment.beacon_chain(bytes32("seed"), BEACON_EPOCHS * slots)
        self.reveals = self.beacon[slots - 1 :: slots]
        self.anchor = anchor
        plan = deployment.Plan(
            parameters=values,
            members=[
                (owner.address, signer.address, f"http://member-{i}.example")
                for i, (owner, signer) in enumerate(
                    zip(self.member_owners, self.signers, strict=True)
                )
            ],
            genesis=self.genesis,
            anchor=anchor,
            holder=self.holder.address,
            supply=1_000_000_000 * QNET,
        )
        contracts = deployment.deploy(self.deployer, plan)
        self.parameter_names = list(values)
        self.token = contracts["QNetToken"]
        self.parameters = contracts["Parameters"]
        self.timelock = contracts["QNetTimelock"]
        self.epochs = contracts["Epochs"]
        self.committee = contracts["Committee"]
        self.registry = contracts["NodeRegistry"]
        self.hub = contracts["StakeHub"]
        self.oracle = contracts["ReportOracle"]
        self.vault = contracts["RewardVault"]
        self.governor = contracts["QNetGovernor"]
        self.versions = contracts["VersionRegistry"]
        self.token.transfer(self.vault, vault, {"from": self.holder})
        self.vault.recordReserve({"from": self.holder})
        for operator in self.operators:
            self.token.transfer(operator, 1_000_000 * QNET, {"from": self.holder})

    # time

    def advance_to(self, timestamp):
        """Mine a block at a time, unless it is over already."""
        if timestamp > now():
            rpc("evm_setNextBlockTimestamp", timestamp)
            rpc("evm_mine")

    def advance(self, seconds):
        self.advance_to(now() + seconds)

    def end_epoch(self, epoch):
        """Start an epoch in its last slot and let it end."""
        end = self.epochs.epochEnd(epoch)
        self.advance_to(end - 10)
        self.epochs.startEpoch(epoch, self.reveals[epoch], {"from": accounts[9]})
        self.advance_to(end)

    # the owner of all contracts, for tests of what only a vote can do

    @contextmanager
    def as_timelock(self):
        """Act as the timelock: what a passed proposal would do."""
        address = self.timelock.address
        rpc("anvil_setBalance", address, hex(10**20))
        rpc("anvil_impersonateAccount", address)
        yield accounts.at(address, force=True)
        rpc("anvil_stopImpersonatingAccount", address)

    # signatures

    def domain(self, contract):
        return {
            "name": "QNet",
            "version": "1",
            "chainId": web3.eth.chain_id,
            "verifyingContract": contract.address,
        }

    def sign(self, account, contract, name, fields, values):
        """Return the 65 bytes of an EIP-712 signature."""
        message = {field["name"]: value for field, value in zip(fields, values, strict=True)}
        signed = Account.sign_typed_data(
            account.key, self.domain(contract), {name: fields}, message
        )
        return bytes(signed.signature)

    def quorum_signatures(self, contract, name, fields, values, members):
        bitmap = sum(1 << member for member in members)
        ordered = sorted(members)
        return bitmap, b"".join(
            self.sign(self.signers[member], contract, name, fields, values) for member in ordered
        )

    # operators

    def key_proof(self, owner, node_id, key, deadline=NEVER):
        return self.sign(
            key,
            self.registry,
            "KeyProof",
            KEY_PROOF,
            (owner.address, node_id, key.address, deadline),
        )

    def register(self, owner, name, role=RELAY, key=None):
        """Register a node and return its number."""
        key = key or Account.create()
        node_id = bytes32(name)
        self.registry.register(
            role,
            node_id,
            bytes32(f"identity of {name}"),
            key.address,
            owner,
            NEVER,
            self.key_proof(owner, node_id, key),
            {"from": owner},
        )
        return self.registry.indexOf(node_id)

    def bond(self, owner, index, amount):
        self.token.approve(self.hub, amount, {"from": owner})
        return self.hub.bond(index, amount, {"from": owner})

    def bonded_node(self, owner, name, amount=100_000 * QNET, role=RELAY):
        index = self.register(owner, name, role)
        self.bond(owner, index, amount)
        return index

    # committee

    def bond_committee(self, members=None):
        amount = self.parameters.get(deployment.parameter_key("committee_bond_wei"))
        for owner in self.member_owners if members is None else members:
            self.token.transfer(owner, amount, {"from": self.holder})
            self.token.approve(self.committee, amount, {"from": owner})
            self.committee.depositBond({"from": owner})

    # reports

    def leaf(self, epoch, node, cum_operator, cum_pool=0, reward=None):
        return (
            epoch,
            node,
            100_000 * QNET,
            100_000 * QNET,
            (1 << 240) - 1,
            1_000_000,
            250_000,
            cum_operator if reward is None else reward,
            cum_operator,
            cum_pool,
        )

    def leaf_hash(self, leaf):
        values = [1, web3.eth.chain_id, self.oracle.address, *leaf]
        return keccak(keccak(encode(LEAF_TYPES, values)))

    def tree(self, leaves):
        return Tree([self.leaf_hash(leaf) for leaf in leaves])

    def report(self, epoch, leaves, **changes):
        """Return a report that the oracle accepts, except for the changes."""
        fields = {
            "epoch": epoch,
            "paramsHash": bytes(self.epochs.epochInfo(epoch)[0]),
            "nodesRoot": self.tree(leaves).root,
            "evidenceRoot": bytes(32),
            "auditRoot": bytes(32),
            "totalReward": sum(leaf[7] for leaf in leaves),
            "nodeCount": len(leaves),
            "dataHash": bytes32("data"),
            "prevReportHash": bytes(self.oracle.lastReportHash()),
        } | changes
        return tuple(fields.values())

    def submit(self, report, members=(0, 1, 2)):
        bitmap, signatures = self.quorum_signatures(
            self.oracle, "EpochReport", REPORT, report, members
        )
        return self.oracle.submit(report, bitmap, signatures, {"from": accounts[9]})

    def finalize(self, epoch):
        window = self.parameters.get(deployment.parameter_key("challenge_window_s"))
        self.advance_to(self.oracle.report(epoch)[2] + window)
        return self.oracle.finalize(epoch, {"from": accounts[9]})

    def settle(self, leaf, leaves):
        proof = self.tree(leaves).proof(self.leaf_hash(leaf))
        return self.hub.settleNode(leaf, proof, {"from": accounts[9]})
