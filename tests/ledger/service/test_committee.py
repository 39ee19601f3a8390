"""Three of four members, real HTTP, a real chain: consensus, report, settlement."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.domain.blob import EpochData
from ledger.domain.directory import DirectoryInput, assemble
from ledger.domain.report import recompute
from ledger.domain.state import NetworkState
from ledger.domain.votes import Decision, Kind, Topic
from ledger.errors import BadDataError, NotReadyError, OmittedReceiptError
from ledger.verification import verify_epoch
from node.manifests import Bundle
from node.survey import history_of, survey
from qnet import cbor
from qnet.chain.reporting import ReportStatus
from qnet.crypto.keys import keccak256
from qnet.errors import QnetError, RemoteProtocolError
from qnet.messages.consensus import (
    CommitteeTrust,
    SignedConsensus,
    join_signatures,
    sign_consensus,
)
from qnet.messages.descriptor import SignedDescriptor
from qnet.messages.evidence import DoubleConsensus
from qnet.messages.report import NodeLeaf, unpack_slot_p
from tests.ledger.service.committee import Committee, open_committee, own_chain
from tests.support.anvil import Network

pytestmark = [pytest.mark.chain, pytest.mark.timeout(600)]

DOWN = 2
PATIENCE = {
    "receipt_grace_s": 12,
    "audit_commit_s": 8,
    "audit_reveal_s": 12,
    "report_deadline_s": 600,
}
FIRST = Topic(Kind.REPORT, 0)
CELLS = {(1, 2): 900, (2, 1): 300, (2, 3): 880, (3, 2): 320, (4, 5): 500, (5, 6): 500}


@pytest.fixture(scope="module")
def committee_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """A chain whose deadlines a loaded machine keeps, too: only they are longer than a devnet's."""
    folder = tmp_path_factory.mktemp("chain")
    with own_chain(folder, **PATIENCE) as network:
        yield network


async def wait_for(check, *, seconds: float = 180.0):
    """Ask until there is an answer."""
    async with asyncio.timeout(seconds):
        found = await check()
        while found is None:
            await asyncio.sleep(0.3)
            found = await check()
        return found


async def be_auditor(committee: Committee, member: int) -> None:
    while True:
        await committee.audit(member)
        await asyncio.sleep(1.0)


async def publish(committee: Committee) -> None:
    while True:
        await committee.publish()
        await asyncio.sleep(4.0)


async def be_nodes(committee: Committee, codes: list[int]) -> None:
    """After every slot of epoch 0 the receipts of both sides; the last ones to one member only."""
    clock = committee.clock
    last = clock.slots_per_epoch - 1
    for slot in range(last):
        await committee.until(clock.slot_bounds(0, slot)[1] + 0.3)
        answers = await committee.send_receipts(committee.receipts(0, slot, CELLS))
        codes += [code for found in answers.values() for code in found]
    again = committee.receipts(0, last - 1, CELLS)[:1]
    lies = committee.receipts(0, last - 1, {(4, 2): 500})[:1]
    others = committee.receipts(0, last - 1, {(4, 2): 900})[:1]
    answers = await committee.send_receipts(again + lies + others)
    assert set(map(tuple, answers.values())) == {(1, 0, 5)}
    await committee.until(clock.slot_bounds(0, last)[1] + 0.3)
    answers = await committee.send_receipts(committee.receipts(0, last, CELLS), members=(1,))
    codes += answers[1]


async def test_three_of_four_members_carry_an_epoch_to_its_end(
    tmp_path: Path, committee_chain: Network
):
    async with open_committee(tmp_path, committee_chain) as committee:
        others = [member for member in range(4) if member != DOWN]
        async with committee.member(0), committee.member(1), committee.member(3):
            codes: list[int] = []
            tasks = [asyncio.create_task(be_auditor(committee, member)) for member in others]
            tasks.append(asyncio.create_task(publish(committee)))
            nodes = asyncio.create_task(be_nodes(committee, codes))
            try:
                await check_consensus(committee, others)
                await check_report(committee, others)
                await nodes
            finally:
                for task in (nodes, *tasks):
                    task.cancel()
                await asyncio.gather(nodes, *tasks, return_exceptions=True)
            assert set(codes) == {0}
            await check_settlement(committee)
            await check_catching_up(committee)


async def check_consensus(committee: Committee, members: list[int]) -> None:
    network, contracts = committee.network, committee.chain.contracts
    trust = CommitteeTrust(
        network.deployment.chain_id,
        network.deployment.address("Committee"),
        tuple(key.address for key in network.member_signers),
        3,
    )
    data = await wait_for(lambda: committee.get(0, "/v1/consensus/latest"))
    signed = SignedConsensus.decode(data, trust=trust)
    assert [node.index for node in signed.consensus.nodes] == [1, 2, 3, 4, 5, 6]
    assert all(node.weight > 0 for node in signed.consensus.nodes)
    assert not signed.bitmap >> DOWN & 1
    period = signed.consensus.valid_after
    for member in members:
        found = await wait_for(
            lambda member=member: committee.get(member, f"/v1/consensus/{period}")
        )
        assert SignedConsensus.decode(found, trust=trust).hash == signed.hash

    async def anchored():
        anchor = await contracts.committee.anchor_of(period)
        return anchor if any(anchor) else None

    assert await wait_for(anchored) == signed.hash
    await check_directory_refusals(committee, period)


async def check_statistics(committee: Committee, members: list[int]) -> None:
    """Every member tells the same about every node, over its public interface."""
    found = [json.loads(await committee.get(member, "/v1/nodes") or b"") for member in members]
    assert all(one == found[0] for one in found)
    nodes = found[0]["nodes"]
    assert [node["index"] for node in nodes] == [1, 2, 3, 4, 5, 6]
    assert all(node["latency_ms"] == 9 for node in nodes if node["slots_audited"])
    assert any(node["uptime_ppm"] == 1_000_000 for node in nodes)
    one = json.loads(await committee.get(0, "/v1/nodes/2") or b"")
    assert one == {"epoch": found[0]["epoch"], **nodes[1]}
    assert await committee.get(0, "/v1/nodes/7") is None
    network = committee.network
    bundle = Bundle(
        chain_id=network.deployment.chain_id,
        committee=network.deployment.address("Committee"),
        oracle=network.deployment.address("ReportOracle"),
        registry=network.deployment.address("NodeRegistry"),
        signers=tuple(key.address for key in network.member_signers),
        quorum=3,
        seeds=(),
        profile="devnet",
    )
    path = committee.folder / "network.json"
    path.write_text(json.dumps(bundle.to_json()))
    seen = await survey(committee.folder, path, committee.urls[:1])
    assert list(seen.statistics.values()) == nodes
    assert [node.index for node in seen.signed.consensus.nodes] == [1, 2, 3, 4, 5, 6]
    earlier = await history_of(seen, committee.urls[:1], 3)
    assert [one.consensus.valid_after for one in earlier] == sorted(
        {one.consensus.valid_after for one in earlier}
    )


async def check_descriptor_pages(committee: Committee) -> None:
    """Nodes fetch descriptors by pages."""
    for after, expected in (("", [1, 2, 3, 4, 5, 6]), ("?after=4", [5, 6]), ("?after=6", [])):
        body = await committee.get(0, f"/v1/descriptors{after}")
        items = cbor.loads(body or b"", max_bytes=1 << 20)
        assert isinstance(items, list)
        assert [SignedDescriptor.decode(item).descriptor.index for item in items] == expected


async def check_evidence(committee: Committee, members: list[int]) -> None:
    """A member takes a proof that others signed twice, once, and shows it."""
    assert await committee.get(0, "/v1/committee/changes") is None
    network = committee.network
    trust = CommitteeTrust(
        network.deployment.chain_id,
        network.deployment.address("Committee"),
        tuple(key.address for key in network.member_signers),
        3,
    )
    wire = await committee.get(0, "/v1/consensus/latest")
    signed = SignedConsensus.decode(wire or b"", trust=trust)
    other = replace(signed.consensus, users=signed.consensus.users + 5)
    parts = {i: sign_consensus(other, network.member_signers[i]) for i in (0, 1, DOWN)}
    proof = DoubleConsensus.of(signed, SignedConsensus(other, *join_signatures(parts)))
    for member in members:
        status, body = await committee.post(member, "/v1/evidence", proof.encode())
        assert (status, json.loads(body)) == (202, {"new": True})
        status, body = await committee.post(member, "/v1/evidence", proof.encode())
        assert (status, json.loads(body)) == (202, {"new": False})
        kept = cbor.loads(await committee.get(member, "/v1/evidence") or b"", max_bytes=1 << 20)
        assert kept == [proof.encode()]
    weak = replace(proof, second=replace(proof.second, bitmap=3))
    assert (await committee.post(0, "/v1/evidence", weak.encode()))[0] in {400, 409}


async def check_report(committee: Committee, members: list[int]) -> None:
    contracts = committee.chain.contracts

    async def final():
        found = await contracts.oracle.report(0)
        return found if found.status is ReportStatus.FINAL else None

    on_chain = await wait_for(final, seconds=300)
    await check_refusals(committee)
    blobs = {await committee.get(member, "/v1/epochs/0/data") for member in members}
    assert len(blobs) == 1
    (blob,) = blobs
    assert blob is not None
    assert keccak256(blob) == on_chain.report.data_hash
    result = recompute(blob)
    assert result.report == on_chain.report
    assert result.digest == on_chain.hash
    assert result.matched[1, 2] == 6 * (896 + 288)
    assert result.audits
    assert all(leaf.reward_wei > 0 for leaf in result.leaves)
    assert any(1000 in unpack_slot_p(leaf.slot_p, 6) for leaf in result.leaves)
    await check_statistics(committee, members)
    await check_descriptor_pages(committee)
    await check_evidence(committee, members)
    checked = await verify_epoch(committee.home(0), committee.config(0), 0, source=None)
    assert checked["status"] == "final"


async def check_refusals(committee: Committee) -> None:
    """What a dishonest leader might propose, as an honest member judges it."""
    answer = await committee.get(1, "/v1/epochs/0/data")
    assert answer is not None
    reports, data = committee.apps[1].services.reports, EpochData.decode(answer)
    await reports.check(FIRST, recompute(answer).digest, answer, certified=False)
    snapshot = data.snapshot
    forged = replace(data.receipts[0], signature=data.receipts[1].signature)
    stranger = replace(data.reveals[0], auditor=(data.reveals[0].auditor + 1) % 4)
    lies: list[tuple[EpochData, type[QnetError]]] = [
        (replace(data, receipts=data.receipts[1:]), OmittedReceiptError),
        (replace(data, reveals=data.reveals[1:]), OmittedReceiptError),
        (replace(data, receipts=(forged, *data.receipts)), BadDataError),
        (replace(data, reveals=(stranger, *data.reveals)), BadDataError),
        (replace(data, snapshot=replace(snapshot, budget_wei=1)), BadDataError),
        (replace(data, snapshot=replace(snapshot, block_hash=bytes(32))), BadDataError),
        (replace(data, snapshot=replace(snapshot, block_number=10**9)), NotReadyError),
        (replace(data, before=replace(data.before, n_hat_cells=5000)), BadDataError),
    ]
    for lie, error in lies:
        document = lie.encode()
        with pytest.raises(error):
            await reports.check(FIRST, recompute(document).digest, document, certified=False)
    with pytest.raises(BadDataError):
        await reports.check(FIRST, bytes(32), answer, certified=True)
    with pytest.raises(RemoteProtocolError):
        await reports.decided(FIRST, Decision(bytes(32), answer, 0b111, bytes(195)))


async def check_directory_refusals(committee: Committee, period: int) -> None:
    """What a dishonest leader might list."""
    directory = committee.apps[1].services.quorum._handlers[Kind.CONSENSUS]
    async with committee.apps[1].member.work() as rows:
        state = await rows.agreements.load(Topic(Kind.CONSENSUS, period))
    assert state is not None
    assert state.decided is not None
    digest, document = state.decided.digest, state.decided.document
    topic = Topic(Kind.CONSENSUS, period)
    await directory.check(topic, digest, document, certified=False)
    proposal = DirectoryInput.decode(document)
    for lie, words in (
        (replace(proposal, reachable=proposal.reachable[1:]), "leaves out"),
        (replace(proposal, reachable=proposal.reachable[:2]), "cannot serve"),
        (replace(proposal, block_hash=bytes(32)), "not on our chain"),
        (replace(proposal, valid_after=period + 30), "another period"),
    ):
        digest = await digest_of(committee, lie)
        with pytest.raises(BadDataError) as caught:
            await directory.check(
                topic, await digest_of(committee, lie), lie.encode(), certified=False
            )
        assert words in caught.value.message
    with pytest.raises(BadDataError):
        await directory.check(topic, bytes(32), document, certified=True)


async def digest_of(committee: Committee, proposal: DirectoryInput) -> bytes:
    """Digest of the consensus that a proposal gives, whether it is honest or not."""
    member = committee.apps[1].member
    block = await member.reader.contracts.client.block(proposal.block_number)
    view = await member.reader.directory_view(block)
    epoch = member.clock.epoch_at(proposal.valid_after)
    network = member.facts.network
    return assemble(proposal, view, NetworkState(), network=network, epoch=epoch).digest


async def check_settlement(committee: Committee) -> None:
    """Operators settle with the leaf a member serves and claim exactly its reward."""
    contracts, chain = committee.chain.contracts, committee.chain
    for node in committee.nodes[:2]:
        answer = await committee.get(3, f"/v1/epochs/0/leaf/{node.index}")
        assert answer is not None
        served = json.loads(answer)
        leaf = NodeLeaf.from_json(served["leaf"])
        proof = [bytes.fromhex(item[2:]) for item in served["proof"]]
        await chain.send(node.owner, contracts.hub.settle_node(leaf, proof))
        before = await contracts.token.balance_of(node.owner.address)
        await chain.send(node.owner, contracts.hub.claim_operator(node.index))
        after = await contracts.token.balance_of(node.owner.address)
        assert after - before == leaf.reward_wei


async def check_catching_up(committee: Committee) -> None:
    """The member that was down learns what it missed, and checks it against the chain."""
    on_chain = await committee.chain.contracts.oracle.report(0)
    async with committee.member(DOWN) as app:
        state = await app.services.reports._states.after(on_chain.hash)
        assert state.epoch == 0
        assert await committee.get(DOWN, "/v1/epochs/0/data") == await committee.get(
            0, "/v1/epochs/0/data"
        )
        assert await committee.get(DOWN, "/v1/epochs/0/leaf/6") is not None
        with pytest.raises(NotReadyError):
            await app.services.reports._states.after(b"\x01" * 32)
