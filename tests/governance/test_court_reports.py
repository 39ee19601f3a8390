"""`qnet court` against reports: wrong leaves, charged signers, demanded leaves, bad work."""

import asyncio
import json
import secrets

import pytest

from governance import demands
from governance.settlement import ProvenLeaf
from qnet.chain.reporting import ReportStatus
from qnet.chain.staking import NodeState
from qnet.cli.root import run
from qnet.eip712 import qnet_domain
from qnet.merkle import StandardTree
from qnet.messages.evidence_file import EvidenceFile
from qnet.messages.proofs import BadLeafProof, ChargeEvidence, JailEvidence, Proven, RegressionProof
from qnet.messages.report import NO_REPORT, EpochReport, NodeLeaf
from qnet.wallet.keystore import LIGHT, KeyKind, encrypt, save

pytestmark = pytest.mark.chain
QNET = 10**18
QUORUM = 0b111


class Reports:
    """One bonded relay, and a committee that signs whatever it is given."""

    def __init__(self, chain, folder, capsys):
        self.chain = chain
        self.folder = folder
        self.capsys = capsys
        self.previous = NO_REPORT
        self.hashes = {}
        self.signatures = {}

    async def begin(self):
        owner, challenger = self.chain.network.holders[:2]
        self.node = await self.chain.register_node(owner, bond_wei=2000 * QNET)
        stored = encrypt(
            challenger.secret,
            "correct horse",
            kind=KeyKind.SECP256K1,
            random=secrets.token_bytes,
            cost=LIGHT,
        )
        save(self.folder / "account.json", stored)
        (self.folder / "passphrase").write_text("correct horse\n")
        (self.folder / "passphrase").chmod(0o600)

    def leaf(self, epoch, **changes):
        fields = {
            "epoch": epoch,
            "node": self.node.index,
            "bond_wei": 0,
            "stake_wei": 0,
            "slot_p": 0,
            "w_ppm": 0,
            "rho_ppm": 250_000,
            "reward_wei": 0,
            "cum_operator_wei": 0,
            "cum_pool_wei": 0,
        }
        return NodeLeaf(**{**fields, **changes})

    async def submit(self, epoch, leaf):
        """Start an epoch, let it pass, and report it with one leaf."""
        contracts, control = self.chain.contracts, self.chain.control
        clock = await contracts.epochs.clock()
        start, end = clock.epoch_bounds(epoch)
        await control.warp(max(start, await control.now() + 1))
        last = (epoch + 1) * clock.slots_per_epoch - 1
        reveal = self.chain.network.beacon.value(last)
        await self.chain.send(
            self.chain.network.deployer, contracts.epochs.start_epoch(epoch, reveal)
        )
        await control.warp(max(end + 1, await control.now() + 1))
        oracle = contracts.oracle
        report = EpochReport(
            epoch=epoch,
            attempt=0,
            params_hash=(await contracts.epochs.info(epoch)).params_hash,
            nodes_root=StandardTree([leaf.hash(31337, oracle.address)]).root,
            evidence_root=NO_REPORT,
            audit_root=NO_REPORT,
            total_reward_wei=leaf.reward_wei,
            node_count=1,
            data_hash=b"\3" * 32,
            previous_hash=self.previous,
        )
        digest = report.digest(qnet_domain(31337, oracle.address))
        self.previous = self.hashes[epoch] = digest
        self.signatures[epoch] = self.chain.quorum_signatures(digest)
        call = oracle.submit(report, QUORUM, self.signatures[epoch])
        await self.chain.send(self.chain.network.deployer, call)

    async def finalize(self, epoch):
        oracle = self.chain.contracts.oracle
        await self.chain.control.warp(await oracle.window_end(epoch))
        await self.chain.send(self.chain.network.deployer, oracle.finalize(epoch))

    def write(self, evidence):
        path = self.folder / f"{type(evidence).__name__}.json"
        court_ = self.chain.contracts.court.address
        path.write_bytes(EvidenceFile(31337, court_, evidence).encode())
        return path

    async def qnet(self, *words):
        """Run a command as the challenger; exit code and data of its last document."""
        network = self.chain.network
        argv = [
            *map(str, words),
            *("--rpc", network.url, "--deployment", str(network.manifest)),
            "--json",
        ]
        if words[1] not in {"status", "check"}:
            argv += ["--account", str(self.folder / "account.json"), "--yes"]
            argv += ["--passphrase-file", str(self.folder / "passphrase")]
        self.capsys.readouterr()
        code = await asyncio.to_thread(run, argv)
        captured = self.capsys.readouterr()
        text, decoder, data = captured.out.strip(), json.JSONDecoder(), captured.err
        while text.startswith("{"):
            document, end = decoder.raw_decode(text)
            data, text = document["data"], text[end:].strip()
        return code, data


@pytest.fixture
async def reports(chain, tmp_path, capsys):
    made = Reports(chain, tmp_path, capsys)
    await made.begin()
    return made


async def test_a_wrong_leaf_disables_the_report_and_charges_its_signers(chain, reports):
    contracts = chain.contracts
    leaf = reports.leaf(0, reward_wei=5 * QNET, cum_operator_wei=5 * QNET)
    await reports.submit(0, leaf)
    values = tuple(chain.network.parameters.to_map().values())
    path = reports.write(BadLeafProof(0, Proven(leaf, ()), None, values))
    code, told = await reports.qnet("court", "check", path)
    assert (code, told["kind"]) == (0, "bad-leaf")
    assert (await reports.qnet("court", "open", path))[0] == 0
    code, proven = await reports.qnet("court", "prove", path)
    assert (code, proven["moot"], proven["disabled"]) == (0, False, True)
    assert (await contracts.oracle.report(0)).status is ReportStatus.DISABLED
    assert await contracts.oracle.attempt_of(0) == 1
    challenger, _ = await contracts.court.wrong_report_of(reports.hashes[0])
    assert challenger == chain.network.holders[1].address
    signers = reports.write(ChargeEvidence(0, reports.hashes[0], QUORUM, reports.signatures[0]))
    code, charged = await reports.qnet("court", "charge", signers)
    assert (code, charged["members"]) == (0, 3)
    members = await contracts.committee.members()
    assert [member.suspended for member in members] == [True, True, True, False]
    _, status = await reports.qnet("court", "status")
    assert [row["against"] for row in status["entries"][1:]] == ["member 0", "member 1", "member 2"]
    forged = ChargeEvidence(0, reports.hashes[0], 0b1111, reports.signatures[0] + bytes(65))
    assert (await reports.qnet("court", "check", reports.write(forged)))[0] == 9


async def test_a_leaf_that_follows_is_not_brought(chain, reports):
    bond_wei = 2000 * QNET
    leaf = reports.leaf(0, bond_wei=bond_wei, stake_wei=bond_wei, rho_ppm=250_000 - 250_000 // 6)
    await reports.submit(0, leaf)
    values = tuple(chain.network.parameters.to_map().values())
    for proof in (
        BadLeafProof(0, Proven(leaf, ()), None, values),
        RegressionProof(0, Proven(leaf, ()), Proven(leaf, ())),
    ):
        assert (await reports.qnet("court", "open", reports.write(proof)))[0] == 9
    assert await chain.contracts.court.count() == 0


async def test_a_demanded_leaf_is_shown_or_the_report_falls(chain, reports, monkeypatch):
    contracts, leaf = chain.contracts, reports.leaf(0)
    await reports.submit(0, leaf)
    bond_wei = chain.network.parameters.challenge_bond_wei
    code, told = await reports.qnet("court", "demand", 0, 1)
    assert (code, told["bond"]["amount"]) == (0, "100")
    assert (await contracts.oracle.demand_of(0, 1)).bond_wei == bond_wei
    assert (await reports.qnet("court", "expire-demand", 0, 1))[0] == 9

    async def fetch(_contracts, _epoch, _index):
        return ProvenLeaf(leaf, ())

    monkeypatch.setattr(demands, "fetch_leaf", fetch)
    code, told = await reports.qnet("court", "answer", 0, 1)
    assert (code, told["bond"]["amount"]) == (0, "100")
    assert (await reports.qnet("court", "answer", 0, 1))[0] == 9
    await reports.finalize(0)

    await reports.submit(1, reports.leaf(1))
    assert (await reports.qnet("court", "demand", 1, 1))[0] == 0
    deadline = (await contracts.oracle.demand_of(1, 1)).deadline_s
    await chain.control.warp(deadline + 1)
    assert (await reports.qnet("court", "expire-demand", 1, 1))[0] == 0
    assert (await contracts.oracle.report(1)).status is ReportStatus.DISABLED


async def test_five_bad_epochs_jail_a_node(chain, reports):
    leaves = []
    for epoch in range(6):
        leaf = reports.leaf(epoch)
        await reports.submit(epoch, leaf)
        await reports.finalize(epoch)
        leaves.append(Proven(leaf, ()))
    path = reports.write(JailEvidence(tuple(leaves[1:])))
    code, told = await reports.qnet("court", "jail", path)
    assert (code, told["node"]) == (0, reports.node.index)
    assert (await chain.contracts.registry.node(1)).state is NodeState.JAILED
    assert (await reports.qnet("court", "jail", path))[0] == 9, "once for the same epochs"
    twice = reports.write(JailEvidence((leaves[1], *leaves[1:5])))
    assert (await reports.qnet("court", "check", twice))[0] == 9
