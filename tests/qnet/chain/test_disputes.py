"""A challenge from commitment to slash, through the typed wrappers."""

from dataclasses import replace

import pytest

from qnet.chain.disputes import ChallengeState, SlashState
from qnet.chain.errors import ContractError
from qnet.chain.staking import NodeState
from qnet.crypto.keys import ReceiptKey
from qnet.eip712 import qnet_domain
from qnet.messages.proofs import ChargeEvidence, JailEvidence, Proven, ReceiptsProof
from qnet.messages.receipt import NO_SAMPLE, LinkReceipt, Side
from qnet.messages.report import NodeLeaf

pytestmark = pytest.mark.chain
WEI = 10**18
BOND_WEI = 2000 * WEI
SALT = b"\x05" * 32


@pytest.fixture
async def cheat(chain):
    """A bonded relay in epoch 0 that signed twice, and a challenger with tokens."""
    owner, challenger = chain.network.holders[:2]
    node = await chain.register_node(owner, bond_wei=BOND_WEI)
    neighbour = await chain.register_node(chain.network.holders[2])
    await chain.control.warp(chain.network.request.genesis_s + 1)
    domain = qnet_domain(31337, chain.contracts.oracle.address)
    first = LinkReceipt(0, 0, node.index, neighbour.index, Side.SENDER, 64, NO_SAMPLE)
    second = replace(first, packets=128)
    proof = ReceiptsProof(
        first.sign(node.receipt_key, domain), second.sign(node.receipt_key, domain)
    )
    court = chain.contracts.court
    bond_wei = chain.network.parameters.challenge_bond_wei
    await chain.send(challenger, chain.contracts.token.approve(court.address, 5 * bond_wei))
    return node, challenger, proof


async def open_challenge(chain, challenger, proof):
    court = chain.contracts.court
    commitment = court.commitment(challenger.address, SALT, proof)
    result = await chain.send(challenger, court.open(commitment))
    number = court.only_event(result, "ChallengeOpened").arguments["id"]
    found = await court.challenge(number)
    assert (found.state, found.commitment) == (ChallengeState.OPEN, commitment)
    assert found.challenger == challenger.address
    assert found.bond_wei == chain.network.parameters.challenge_bond_wei
    assert found.deadline_s - found.opened_at_s == chain.network.parameters.challenge_open_s
    await chain.control.warp(found.opened_at_s + 1)
    return number


async def test_two_receipts_cost_five_per_cent(chain, cheat):
    node, challenger, proof = cheat
    contracts, parameters = chain.contracts, chain.network.parameters
    court, slasher, token = contracts.court, contracts.slasher, contracts.token
    before = await token.balance_of(challenger.address)
    number = await open_challenge(chain, challenger, proof)
    result = await chain.send(challenger, court.prove(number, SALT, proof))
    assert not court.only_event(result, "ChallengeProven").arguments["moot"]
    slash_id = slasher.only_event(result, "SlashQueued").arguments["id"]
    assert await token.balance_of(challenger.address) == before
    assert (await court.challenge(number)).state is ChallengeState.PROVEN
    assert await court.count() == number
    slash = await slasher.slash(slash_id)
    assert (slash.state, slash.is_member, slash.subject) == (SlashState.ESCROW, False, node.index)
    assert slash.executable_at_s - slash.queued_at_s == parameters.escrow_s
    assert await slasher.is_used(slash.evidence)
    assert await contracts.hub.freezes_of(node.index) == 1
    assert (await contracts.registry.node(node.index)).state is NodeState.JAILED
    with pytest.raises(ContractError) as raised:
        await chain.send(challenger, slasher.execute(slash_id))
    assert raised.value.name == "InEscrow"
    assert raised.value.try_
    supply = await token.total_supply()
    await chain.control.warp(slash.executable_at_s)
    taken = BOND_WEI * parameters.slash_receipts_ppm // 10**6
    assert await slasher.allowance_of(node.index, 0) >= taken
    result = await chain.send(challenger, slasher.execute(slash_id))
    paid = taken * parameters.challenger_ppm // 10**6
    event = slasher.only_event(result, "SlashExecuted").arguments
    assert (event["toChallenger"], event["burned"]) == (paid, taken - paid)
    assert await contracts.hub.bond_of(node.index) == BOND_WEI - taken
    assert await token.balance_of(challenger.address) == before + paid
    assert await token.total_supply() == supply - (taken - paid)
    assert (await contracts.registry.node(node.index)).state is NodeState.TOMBSTONED
    assert (await slasher.slash(slash_id)).state is SlashState.EXECUTED
    assert await slasher.count() == slash_id


async def test_only_the_challenger_shows_its_proof(chain, cheat):
    _, challenger, proof = cheat
    court, thief = chain.contracts.court, chain.network.holders[3]
    number = await open_challenge(chain, challenger, proof)
    for key, salt, shown, name in (
        (thief, SALT, proof, "NotChallenger"),
        (challenger, bytes(32), proof, "WrongCommitment"),
        (challenger, SALT, ReceiptsProof(proof.b, proof.a), "WrongCommitment"),
    ):
        with pytest.raises(ContractError) as raised:
            await chain.send(key, court.prove(number, salt, shown))
        assert raised.value.name == name


async def test_a_proof_that_does_not_hold_is_refused_and_costs_its_bond(chain, cheat):
    node, challenger, proof = cheat
    court, token = chain.contracts.court, chain.contracts.token
    forged = ReceiptsProof(
        proof.a, proof.b.receipt.sign(ReceiptKey.generate(), qnet_domain(31337, bytes(20)))
    )
    number = await open_challenge(chain, challenger, forged)
    with pytest.raises(ContractError) as raised:
        await chain.send(challenger, court.prove(number, SALT, forged))
    assert raised.value.name == "BadSignature"
    with pytest.raises(ContractError) as raised:
        await chain.send(node.owner, court.expire(number))
    assert raised.value.name == "WrongTime"
    supply = await token.total_supply()
    await chain.control.warp((await court.challenge(number)).deadline_s + 1)
    await chain.send(node.owner, court.expire(number))
    burned = chain.network.parameters.challenge_bond_wei
    assert await token.total_supply() == supply - burned
    assert (await court.challenge(number)).state is ChallengeState.EXPIRED


async def test_only_vetoer_and_holders_stop_a_slash(chain, cheat):
    _, challenger, proof = cheat
    slasher = chain.contracts.slasher
    number = await open_challenge(chain, challenger, proof)
    result = await chain.send(challenger, chain.contracts.court.prove(number, SALT, proof))
    slash_id = slasher.only_event(result, "SlashQueued").arguments["id"]
    assert await slasher.vetoer() == chain.contracts.timelock.address
    for call, name in (
        (slasher.veto(slash_id), "NotVetoer"),
        (slasher.overrule(slash_id), "NotOwner"),
        (slasher.set_vetoer(challenger.address), "NotOwner"),
    ):
        with pytest.raises(ContractError) as raised:
            await chain.send(challenger, call)
        assert raised.value.name == name


async def test_reports_nobody_proved_wrong_charge_nobody(chain):
    court, key = chain.contracts.court, chain.network.holders[0]
    assert await court.wrong_report_of(bytes(32)) == (bytes(20), 0)
    with pytest.raises(ContractError) as raised:
        await chain.send(key, court.charge(ChargeEvidence(0, b"\1" * 32, 1, bytes(65))))
    assert raised.value.name == "NotProvenWrong"
    leaf = Proven(NodeLeaf(0, 1, 0, 0, 0, 0, 0, 0, 0, 0), ())
    with pytest.raises(ContractError):
        await chain.send(key, court.jail(JailEvidence((leaf,) * 5)))


async def test_leaves_of_no_report_are_not_demanded(chain):
    oracle, key = chain.contracts.oracle, chain.network.holders[0]
    demand = await oracle.demand_of(0, 1)
    assert (demand.demander, demand.bond_wei, demand.deadline_s) == (bytes(20), 0, 0)
    leaf = NodeLeaf(0, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    for call in (
        oracle.demand_leaf(0, 1),
        oracle.answer_leaf(leaf, []),
        oracle.expire_demand(0, 1),
    ):
        with pytest.raises(ContractError) as raised:
            await chain.send(key, call)
        assert raised.value.name in {"WrongStatus", "NoSuchLeaf", "NotDemanded"}
