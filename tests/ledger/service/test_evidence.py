"""Wrong reports of a dishonest quorum, held against the real court by what they published."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
from aiohttp import web

from ledger.domain.accounts import NodeStake
from ledger.domain.blob import EpochData
from ledger.domain.claims import NO_LEAF, expected_leaf
from ledger.domain.hub import Hub
from ledger.domain.report import EpochResult, recompute
from ledger.domain.state import NetworkState, NodeRecord, NodeState
from ledger.errors import BadDataError, NoReportError
from ledger.evidence import proofs_against
from ledger.service.chain_reader import ChainReader
from qnet.chain.reporting import ReportStatus
from qnet.chain.staking import Role
from qnet.crypto.keys import ReceiptKey
from qnet.eip712 import qnet_domain
from qnet.messages.proofs import BadLeafProof, BadLinkProof, Proof
from qnet.messages.receipt import LinkReceipt, Side, SignedReceipt
from tests.support.anvil import WEI, ChainFixture, RegisteredNodeKeys, send_as

pytestmark = [pytest.mark.chain, pytest.mark.timeout(120)]

BOND = 2000 * WEI
DELEGATED = 3000 * WEI


@dataclass
class Stage:
    """A started and ended epoch 0 with three nodes, and the honest data about it."""

    chain: ChainFixture
    nodes: list[RegisteredNodeKeys]
    data: EpochData
    backer: bytes
    delegated_s: int

    @classmethod
    async def build(cls, chain: ChainFixture) -> "Stage":
        contracts, network = chain.contracts, chain.network
        nodes = []
        for role in (Role.ENTRY, Role.RELAY, Role.EXIT):
            owner = await chain.new_account(BOND)
            nodes.append(await chain.register_node(owner, role=role, bond_wei=BOND))
        backer = await chain.new_account(DELEGATED)
        approve = contracts.token.approve(contracts.hub.address, DELEGATED)
        await chain.send(backer, approve)
        sent = await chain.send(backer, contracts.hub.delegate(nodes[1].index, DELEGATED))
        delegated_s = (await chain.client.block(sent.block_number)).timestamp
        clock = await contracts.epochs.clock()
        await chain.control.warp(clock.epoch_bounds(0)[1] + 5)
        beacons = tuple(map(network.beacon.value, range(clock.slots_per_epoch)))
        await chain.send(network.deployer, contracts.epochs.start_epoch(0, beacons[-1]))
        snapshot = await ChainReader(contracts).snapshot(
            0, await contracts.client.block("latest"), clock=clock
        )
        keys = {node.index: node.receipt_key for node in nodes}
        first, second = nodes[0].index, nodes[1].index
        receipts = signed_link(chain, keys, first, second)
        parameters = await contracts.parameters.all()
        data = EpochData(snapshot, parameters, beacons, receipts, (), NetworkState())
        return cls(chain, nodes, data, backer.address, delegated_s)

    async def submit(self, data: EpochData) -> EpochResult:
        """What a quorum that does not check would do."""
        result = recompute(data.encode())
        signatures = self.chain.quorum_signatures(result.digest)
        call = self.chain.contracts.oracle.submit(result.report, 0b111, signatures)
        await self.chain.send(self.chain.network.member_owners[0], call)
        return result

    def with_node(self, place: int, **changes: object) -> EpochData:
        nodes = list(self.data.snapshot.nodes)
        nodes[place] = replace(nodes[place], **changes)
        return replace(self.data, snapshot=replace(self.data.snapshot, nodes=tuple(nodes)))

    async def prove(self, proof: Proof) -> None:
        """Bring a proof before the court as anybody could."""
        contracts, chain = self.chain.contracts, self.chain
        bond = chain.network.parameters.challenge_bond_wei
        account, salt = await chain.new_account(bond), secrets.token_bytes(32)
        await chain.send(account, contracts.token.approve(contracts.court.address, bond))
        commitment = contracts.court.commitment(account.address, salt, proof)
        await chain.send(account, contracts.court.open(commitment))
        await chain.control.warp(await chain.control.now() + 2)
        number = await contracts.court.count()
        await chain.send(account, contracts.court.prove(number, salt, proof))
        assert await contracts.token.balance_of(account.address) == bond


def signed_link(
    chain: ChainFixture, keys: dict[int, ReceiptKey], left: int, right: int
) -> tuple[SignedReceipt, ...]:
    domain = qnet_domain(chain.client.chain_id, chain.contracts.oracle.address)
    bodies = [LinkReceipt(0, 1, left, right, side, 512, bytes(32)) for side in Side]
    return tuple(body.sign(keys[body.signer], domain) for body in bodies)


@contextlib.asynccontextmanager
async def serving(data: EpochData) -> AsyncIterator[str]:
    """A member that publishes these data."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=data.encode())

    app = web.Application()
    app.router.add_get("/v1/epochs/0/data", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def disable(chain: ChainFixture, epoch: int) -> None:
    """What a vote of the holders would do: the timelock owns the oracle."""
    contracts = chain.contracts
    await send_as(chain.client, contracts.timelock.address, contracts.oracle.disable(epoch))


async def status_of(chain: ChainFixture) -> ReportStatus:
    return (await chain.contracts.oracle.report(0)).status


async def test_court_and_ledger_expect_the_same_leaves(chain: ChainFixture):
    stage = await Stage.build(chain)
    result = await stage.submit(stage.data)
    values = list(stage.data.parameters.to_map().values())
    last = stage.nodes[-1].index
    assert result.leaves[last - 2].cum_pool_wei > 0
    for leaf in result.leaves[last - 3 : last]:
        assert leaf.reward_wei > 0
        for claimed in (leaf, replace(leaf, w_ppm=123_456), replace(leaf, slot_p=777)):
            court = await chain.contracts.court.expected_leaf(claimed, NO_LEAF, values)
            assert court == expected_leaf(claimed, None, stage.data)
    async with serving(stage.data) as url:
        assert await proofs_against(chain.contracts, 0, url) == []
        with pytest.raises(NoReportError):
            await proofs_against(chain.contracts, 1, url)
    async with serving(stage.with_node(0, bond_start_wei=1)) as url:
        with pytest.raises(BadDataError):
            await proofs_against(chain.contracts, 0, url)


async def test_a_settled_reward_streams_as_the_model_says(chain: ChainFixture):
    stage = await Stage.build(chain)
    result = await stage.submit(stage.data)
    contracts, index = chain.contracts, stage.nodes[1].index
    hub, parameters = contracts.hub, stage.data.parameters
    leaf, anyone = result.leaves[index - 1], chain.network.deployer
    await chain.control.warp(await contracts.oracle.window_end(0) + 1)
    await chain.send(anyone, contracts.oracle.finalize(0))
    sent = await chain.send(anyone, hub.settle_node(leaf, result.proof(index)))
    model = Hub(parameters, await contracts.epochs.clock(), now=stage.delegated_s)
    model.nodes[index] = NodeStake(stage.nodes[1].owner.address, NodeState.ACTIVE)
    model.bond(index, BOND)
    model.delegate(stage.backer, index, DELEGATED)
    model.now = (await chain.client.block(sent.block_number)).timestamp
    model.settle(index, 0, leaf.cum_operator_wei, leaf.cum_pool_wei)
    assert await hub.owed(index) == model.nodes[index].owed_wei > 0
    for wait in (0, parameters.stream_s // 3, parameters.stream_s):
        model.now = await chain.control.now() + wait
        await chain.control.warp(model.now)
        model.now = (await chain.client.block("latest")).timestamp
        assert await hub.pool_of(index) == model.nodes[index].pool.available(model.now)
        found = await hub.position_of(stage.backer, index)
        assert found.worth_wei == model.worth_of(stage.backer, index)
    gained = model.worth_of(stage.backer, index) - DELEGATED
    assert leaf.cum_pool_wei * 999 // 1000 < gained <= leaf.cum_pool_wei


async def test_an_invented_bond_is_a_bad_leaf(chain: ChainFixture):
    stage = await Stage.build(chain)
    place = stage.nodes[0].index - 1
    lie = stage.with_node(place, bond_start_wei=9 * BOND, bond_end_wei=9 * BOND)
    await stage.submit(lie)
    async with serving(lie) as url:
        proofs = await proofs_against(chain.contracts, 0, url)
    assert [type(proof) for proof in proofs] == [BadLeafProof]
    assert await status_of(chain) is ReportStatus.SUBMITTED
    await stage.prove(proofs[0])
    assert await status_of(chain) is ReportStatus.DISABLED
    assert await chain.contracts.oracle.attempt_of(0) == 1


async def test_an_invented_past_is_a_bad_leaf(chain: ChainFixture):
    stage = await Stage.build(chain)
    place = stage.nodes[1].index
    record = NodeRecord(rho_ppm=250_000, cum_operator_wei=5 * WEI)
    lie = replace(stage.data, before=NetworkState(records={place: record}))
    await stage.submit(lie)
    async with serving(lie) as url:
        (proof,) = await proofs_against(chain.contracts, 0, url)
    await stage.prove(proof)
    assert await status_of(chain) is ReportStatus.DISABLED


async def test_receipts_of_an_invented_key_are_a_bad_link(chain: ChainFixture):
    stage = await Stage.build(chain)
    last, relay = stage.nodes[2].index, stage.nodes[1].index
    forger = ReceiptKey.generate()
    keys = {relay: stage.nodes[1].receipt_key, last: forger}
    lie = replace(
        stage.with_node(last - 1, receipt_key=forger.address),
        receipts=(*stage.data.receipts, *signed_link(chain, keys, relay, last)),
    )
    await stage.submit(lie)
    async with serving(lie) as url:
        (proof,) = await proofs_against(chain.contracts, 0, url)
    assert isinstance(proof, BadLinkProof)
    assert proof.sent is None
    assert proof.received is not None
    await stage.prove(proof)
    assert await status_of(chain) is ReportStatus.DISABLED
