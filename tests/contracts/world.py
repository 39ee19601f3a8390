"""A deployed network to test against: contracts, people, and what they do together."""

import importlib.util
import itertools
from contextlib import contextmanager
from pathlib import Path

from brownie import Contract, accounts, web3
from brownie.exceptions import VirtualMachineError
from eth_abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_utils import keccak
from tree import Tree
from typed_data import AUDIT_LEAF, KEY_PROOF, LINK_LEAF, NODE_LEAF, RECEIPT, REPORT

ROOT = Path(__file__).resolve().parents[2]
QNET = 10**18
DAY = 86_400
MEMBERS = 4
BEACON_EPOCHS = 24
ENTRY, RELAY, MIX, EXIT = 1, 2, 3, 4
SENDER, RECEIVER = 0, 1
NONE, REGISTERED, ACTIVE, RETIRED, JAILED, TOMBSTONED = range(6)
SUBMITTED, FINAL, DISABLED = 1, 2, 3
OPEN, PROVEN, EXPIRED = 1, 2, 3
ESCROW, VETOED, EXECUTED = 1, 2, 3
NEVER = 2**256 - 1

NO_LEAF = ((0,) * 10, [])
NO_RECEIPT = ((0, 0, 0, 0, 0, 0, bytes(32)), b"")
ONE = 1_000_000
ARGUMENTS_OFFSET = 68  # selector, challenge and salt of a proof


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


def slots(permille, count=24):
    """Return the P of all slots of an epoch, packed."""
    return sum(permille << 10 * slot for slot in range(count))


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
        length = values["slots_per_epoch"][0]
        self.anchor, self.beacon = deployment.beacon_chain(bytes32("seed"), BEACON_EPOCHS * length)
        self.reveals = self.beacon[length - 1 :: length]
        self.plan = deployment.Plan(
            parameters=values,
            terms=deployment.profile_terms("main"),
            members=[
                (owner.address, signer.address, f"http://member-{i}.example")
                for i, (owner, signer) in enumerate(
                    zip(self.member_owners, self.signers, strict=True)
                )
            ],
            genesis=self.genesis,
            anchor=self.anchor,
            holder=self.holder.address,
            supply=1_000_000_000 * QNET,
        )
        self.contracts = contracts = deployment.deploy(self.deployer, self.plan)
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
        self.slasher = contracts["Slasher"]
        self.court = contracts["DisputeCourt"]
        self.channels = contracts["PremiumChannels"]
        abi = deployment.artifact("Redeemer")["abi"]
        self.redeemer = Contract.from_abi("Redeemer", self.channels.redeemer(), abi)
        self.receipt_keys = {}
        self.salts = itertools.count(1)
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
        """Start an epoch in its last slot and let it end: its last second is the past."""
        end = self.epochs.epochEnd(epoch)
        self.advance_to(end - 10)
        self.epochs.startEpoch(epoch, self.reveals[epoch], {"from": accounts[9]})
        self.advance_to(end + 1)

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
        """Let the registry burn the fee, register a node and return its number."""
        key = key or Account.create()
        node_id = bytes32(name)
        self.token.approve(self.registry, self.parameter("register_fee_wei"), {"from": owner})
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
        index = self.registry.indexOf(node_id)
        self.receipt_keys[index] = key
        return index

    def bond(self, owner, index, amount):
        self.token.approve(self.hub, amount, {"from": owner})
        return self.hub.bond(index, amount, {"from": owner})

    def bonded_node(self, owner, name, amount=100_000 * QNET, role=RELAY):
        index = self.register(owner, name, role)
        self.bond(owner, index, amount)
        return index

    # committee

    def parameter(self, name):
        return self.parameters.get(deployment.parameter_key(name))

    def bond_committee(self, members=None):
        amount = self.parameter("committee_bond_wei")
        for owner in self.member_owners if members is None else members:
            self.token.transfer(owner, amount, {"from": self.holder})
            self.token.approve(self.committee, amount, {"from": owner})
            self.committee.depositBond({"from": owner})

    # leaves and their trees

    def leaf(self, epoch, node, cum_operator, cum_pool=0, reward=None):
        """Return a leaf that says what a test wants, whether it is right or not."""
        return (
            epoch,
            node,
            100_000 * QNET,
            100_000 * QNET,
            slots(1000),
            ONE,
            250_000,
            cum_operator if reward is None else reward,
            cum_operator,
            cum_pool,
        )

    def honest_leaf(self, epoch, node, previous=NO_LEAF[0], slot_p=None, w=ONE):
        """Return the leaf that follows for a node from its P and W and the leaf before."""
        claimed = (epoch, node, 0, 0, slots(1000) if slot_p is None else slot_p, w, 0, 0, 0, 0)
        values = list(self.parameters.values())
        return tuple(self.court.expectedLeaf(claimed, previous, values))

    def honest_leaves(self, epoch, before=(), slot_p=None):
        """Return the leaves of all nodes of an epoch, after those of the report before."""
        known = dict(enumerate(before, start=1))
        return [
            self.honest_leaf(epoch, node, known.get(node, NO_LEAF[0]), (slot_p or {}).get(node))
            for node in range(1, self.epochs.nodeCountOf(epoch) + 1)
        ]

    def leaf_hash(self, leaf, kind=NODE_LEAF):
        number, struct = kind
        head = [number, web3.eth.chain_id, self.oracle.address]
        return keccak(keccak(encode(["uint8", "uint256", "address", struct], [*head, leaf])))

    def tree(self, leaves, kind=NODE_LEAF):
        return Tree([self.leaf_hash(leaf, kind) for leaf in leaves])

    def root(self, leaves, kind=NODE_LEAF):
        return self.tree(leaves, kind).root if leaves else bytes(32)

    def proof(self, leaf, leaves, kind=NODE_LEAF):
        return self.tree(leaves, kind).proof(self.leaf_hash(leaf, kind))

    def proven(self, leaf, leaves):
        """Return a node leaf with its proof, as the court wants it."""
        return (leaf, self.proof(leaf, leaves))

    # reports

    def report(self, epoch, leaves, links=(), audits=(), **changes):
        """Return a report that the oracle accepts, except for the changes."""
        fields = {
            "epoch": epoch,
            "attempt": self.oracle.attemptOf(epoch),
            "paramsHash": bytes(self.epochs.epochInfo(epoch)[0]),
            "nodesRoot": self.root(leaves),
            "evidenceRoot": self.root(links, LINK_LEAF),
            "auditRoot": self.root(audits, AUDIT_LEAF),
            "totalReward": sum(leaf[7] for leaf in leaves),
            "nodeCount": self.epochs.nodeCountOf(epoch),
            "dataHash": bytes32("data"),
            "prevReportHash": bytes(self.oracle.lastReportHash()),
        } | changes
        return tuple(fields.values())

    def report_signatures(self, report, members=(0, 1, 2)):
        return self.quorum_signatures(self.oracle, "EpochReport", REPORT, report, members)

    def submit(self, report, members=(0, 1, 2)):
        bitmap, signatures = self.report_signatures(report, members)
        return self.oracle.submit(report, bitmap, signatures, {"from": accounts[9]})

    def finalize(self, epoch):
        self.advance_to(self.oracle.windowEnd(epoch))
        return self.oracle.finalize(epoch, {"from": accounts[9]})

    def settle(self, leaf, leaves):
        return self.hub.settleNode(leaf, self.proof(leaf, leaves), {"from": accounts[9]})

    # receipts

    def receipt(self, epoch, slot, node_from, node_to, packets, side=SENDER):
        """Return a receipt of one side of a link and the signature of the node that owes it."""
        values = (epoch, slot, node_from, node_to, side, packets, bytes32("samples"))
        key = self.receipt_keys[node_to if side == RECEIVER else node_from]
        return values, self.sign(key, self.oracle, "LinkReceipt", RECEIPT, values)

    def receipt_name(self, receipt, signature):
        """Return how a link leaf names a signed receipt."""
        message = {field["name"]: value for field, value in zip(RECEIPT, receipt, strict=True)}
        signable = encode_typed_data(self.domain(self.oracle), {"LinkReceipt": RECEIPT}, message)
        digest = keccak(b"\x19" + signable.version + signable.header + signable.body)
        return keccak(digest + signature)

    # challenges

    def challenger(self, account):
        """Give an account tokens for challenges, and let court and oracle take them."""
        self.token.transfer(account, 100_000 * QNET, {"from": self.holder})
        for contract in (self.court, self.oracle):
            self.token.approve(contract, NEVER, {"from": account})
        return account

    def commitment(self, account, call, salt, arguments):
        """Return what binds an account to a proof: the call, but for the challenge it is for."""
        data = bytes.fromhex(call.encode_input(0, salt, *arguments)[2:])
        selector, digest = data[:4], keccak(data[ARGUMENTS_OFFSET:])
        types = ["address", "bytes32", "bytes4", "bytes32"]
        return keccak(encode(types, [account.address, salt, selector, digest]))

    def commit(self, account, call, *arguments):
        """Open a challenge; return its number and salt. The proof may follow in a second."""
        salt = next(self.salts).to_bytes(32, "big")
        commitment = self.commitment(account, call, salt, arguments)
        opened = self.court.open(commitment, {"from": account})
        self.advance(1)
        return opened.events["ChallengeOpened"]["id"], salt

    def prove(self, account, call, *arguments):
        """Commit to a proof and show it."""
        return call(*self.commit(account, call, *arguments), *arguments, {"from": account})

    def execute_slash(self, number):
        """Let the escrow of a slash pass and carry it out."""
        self.advance_to(self.slasher.slashOf(number).dict()["executableAt"])
        return self.slasher.execute(number, {"from": accounts[9]})
