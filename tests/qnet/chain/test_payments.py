"""Channels, statements of the committee and claims through the typed wrapper, on a real chain."""

import secrets

import pytest

from qnet.chain.errors import ContractError
from qnet.chain.payments import ChannelState, Money, PremiumChannels
from qnet.crypto.keys import ReceiptKey
from qnet.issuance import PaymentTerms
from qnet.messages.settlement import (
    Attestation,
    ClaimLeaf,
    ClaimTree,
    Closing,
    ProvenLeaf,
)
from tests.support.issuer import BITMAP, EPOCH, bought, issuance_clock, register

pytestmark = pytest.mark.chain
WEI = 10**18
NOBODY = bytes(20)
LOG = b"\x10" * 32


async def attested(chain, leaves, units):
    """Close the epoch and attest leaves; the tree."""
    channels, deployer = chain.contracts.channels, chain.network.deployer
    clock = await issuance_clock(chain)
    _, end = clock.bounds(EPOCH)
    await chain.control.warp(end)
    closing = Closing(EPOCH, 128, LOG)
    signed = chain.quorum_signatures(closing.digest(channels.domain))
    await chain.send(deployer, channels.close_epoch(closing, BITMAP, signed))
    await chain.control.warp(end + clock.terms.close_s)
    tree = ClaimTree(leaves, chain_id=chain.client.chain_id, channels=channels.address, epoch=EPOCH)
    statement = Attestation(EPOCH, tree.root, units, len(leaves), LOG)
    signed = chain.quorum_signatures(statement.digest(channels.domain))
    result = await chain.send(deployer, channels.attest(statement, BITMAP, signed))
    assert channels.only_event(result, "ClaimsAttested").arguments["root"] == tree.root
    return tree


async def test_terms_and_place_are_the_deployments(chain):
    channels = chain.contracts.channels
    assert await channels.terms() == PaymentTerms.profile("devnet") == chain.network.request.terms
    assert (await channels.redeemer()).address == chain.contracts.redeemer.address
    assert channels.place.channels == channels.address
    assert await channels.money() == Money(0, 0, 0)
    assert await channels.issuance_of(EPOCH) is None
    assert await channels.channel_of(NOBODY) == ChannelState(0, 0, 0, is_open=False)
    with pytest.raises(ContractError, match="UnknownIssuance"):
        await channels.left_of(EPOCH)
    elsewhere = PremiumChannels(chain.client, chain.contracts.token.address)
    with pytest.raises(ContractError):
        await elsewhere.issuance_of(EPOCH)


async def test_a_channel_from_opening_to_closing(chain, payer):
    channels, token = chain.contracts.channels, chain.contracts.token
    await register(chain)
    before = await token.balance_of(payer.address)
    result = await chain.send(payer, channels.open(5 * WEI))
    assert channels.only_event(result, "ChannelOpened").arguments["deposit"] == 5 * WEI
    await chain.send(payer, channels.top_up(WEI))
    assert await channels.channel_of(payer.address) == ChannelState(6 * WEI, 0, 0, is_open=True)
    purchase, result = await bought(chain, payer)
    collected = channels.only_event(result, "VoucherCollected").arguments
    assert collected["collected"] == purchase.voucher.cumulative_wei
    assert collected["batchHash"] == purchase.voucher.batch_hash
    assert (await channels.issuance_of(EPOCH)).issued == 128
    assert (await channels.money()).pool_wei == purchase.voucher.cumulative_wei
    await chain.send(payer, channels.start_close())
    state = await channels.channel_of(payer.address)
    assert state.closing_since_s > 0
    with pytest.raises(ContractError, match="NotClosable"):
        await chain.send(payer, channels.finalize_close(payer.address))
    await chain.control.warp(state.closing_since_s + (await channels.terms()).closing_s)
    await chain.send(chain.network.deployer, channels.finalize_close(payer.address))
    assert before - await token.balance_of(payer.address) == purchase.voucher.cumulative_wei


async def test_opening_with_a_permit(chain):
    channels, token = chain.contracts.channels, chain.contracts.token
    payer = await chain.new_account(10 * WEI)
    deadline = await chain.control.now() + 60
    permit = await token.permit_digest(payer.address, channels.address, WEI, deadline)
    opening = channels.open_with_permit(WEI, deadline, payer.sign(permit))
    await chain.send(payer, opening)
    assert (await channels.channel_of(payer.address)).deposit_wei == WEI


async def test_keys_close_attest_and_claim(chain, payer):
    channels, token = chain.contracts.channels, chain.contracts.token
    owner = chain.network.holders[1]
    node = await chain.register_node(owner, bond_wei=2000 * WEI)
    issuer = await register(chain)
    state = await channels.issuance_of(EPOCH)
    assert (state.epoch, state.keys_hash, state.is_closed) == (
        EPOCH,
        channels.place.keys_hash(EPOCH, issuer.keys),
        False,
    )
    assert state.cap == await channels.cap_of(EPOCH + 1) > 0
    await chain.send(payer, channels.open(5 * WEI))
    await bought(chain, payer)
    leaf = ClaimLeaf(node.index, 100, 100, 2)
    tree = await attested(chain, [leaf], 100)
    assert await channels.attested_of(EPOCH, tree.prove(node.index)) == 100
    assert await channels.attested_of(EPOCH, tree.prove(node.index + 1)) == 0
    assert await channels.left_of(EPOCH) == 28
    assert (await channels.money()).unclaimed_units == 100
    clock = await issuance_clock(chain)
    claim = channels.claim(EPOCH, [tree.prove(node.index)])
    with pytest.raises(ContractError, match="TooEarly"):
        await chain.send(payer, claim)
    await chain.control.warp(state.end + clock.terms.demand_s)
    assert await channels.elapsed_since(EPOCH) >= clock.terms.demand_s
    before = await token.balance_of(owner.address)
    result = await chain.send(payer, claim)
    gross = 100 * clock.terms.unit_wei
    assert channels.only_event(result, "Claimed").arguments["relay"] == node.index
    assert await token.balance_of(owner.address) - before == gross * 4 // 5
    assert await channels.paid_units_of(node.index) == 100
    assert (await channels.money()).to_burn_wei == gross // 5
    supply = await token.total_supply()
    await chain.send(payer, channels.flush_burn())
    assert supply - await token.total_supply() == gross // 5


async def test_a_leaf_is_demanded_and_shown_or_the_root_falls(chain, payer):
    channels = chain.contracts.channels
    await register(chain)
    await chain.send(payer, channels.open(5 * WEI))
    await bought(chain, payer)
    tree = await attested(chain, [ClaimLeaf(5, 100, 100, 2)], 100)
    end, terms = (await channels.issuance_of(EPOCH)).end, await channels.terms()
    await chain.control.warp(end + terms.attest_s)
    for position in (5, 6):
        await chain.send(payer, channels.demand_leaf(EPOCH, position))
    demander, deadline = await channels.demand_of(EPOCH, 5)
    assert (demander, (await channels.issuance_of(EPOCH)).open_demands) == (payer.address, 2)
    result = await chain.send(chain.network.deployer, channels.answer_leaf(EPOCH, tree.prove(5)))
    shown = channels.only_event(result, "LeafAnswered").arguments["leaf"]
    assert shown[:4] == (5, 100, 100, 2)
    assert chain.contracts.decode(result.logs[0]) is not None
    assert await channels.demand_of(EPOCH, 5) == (NOBODY, 0)
    await chain.control.warp(deadline + 1)
    await chain.send(payer, channels.expire_demand(EPOCH, 6))
    state = await channels.issuance_of(EPOCH)
    assert (state.root, state.attested, state.is_attested) == (bytes(32), 0, True)
    assert await channels.attested_of(EPOCH, ProvenLeaf.nothing(5)) == 0


async def test_refusals_are_told_in_the_contracts_own_words(chain, payer):
    channels = chain.contracts.channels
    with pytest.raises(ContractError, match="ChannelNotOpen") as refused:
        await chain.send(payer, channels.top_up(WEI))
    assert refused.value.arguments == {"channel": payer.address}
    assert "no open channel" in refused.value.why
    with pytest.raises(ContractError, match="BadQuorum"):
        await register_with(chain, b"")
    with pytest.raises(ContractError) as refused:
        await chain.send(payer, channels.finalize_close(secrets.token_bytes(20)))
    assert refused.value.name == "ChannelNotOpen"


async def register_with(chain, signatures):
    channels, deployer = chain.contracts.channels, chain.network.deployer
    start, _ = (await issuance_clock(chain)).bounds(0)
    await chain.control.warp(start)
    await chain.send(deployer, channels.register_keys(EPOCH, b"\x01" * 32, 0, signatures))


async def test_two_statements_of_one_member(chain):
    channels = chain.contracts.channels
    signer, deployer = chain.network.member_signers[0], chain.network.deployer
    closings = [Closing(EPOCH, units, LOG) for units in (1, 2)]
    first, second = ((c, signer.sign(c.digest(channels.domain))) for c in closings)
    with pytest.raises(ContractError, match="NoEquivocation"):
        await chain.send(deployer, channels.prove_two_closings(0, first, first))
    stranger = ReceiptKey.generate()
    forged = (closings[1], stranger.sign(closings[1].digest(channels.domain)))
    with pytest.raises(ContractError, match="WrongSigner"):
        await chain.send(deployer, channels.prove_two_closings(0, first, forged))
    with pytest.raises(ContractError, match="WrongSigner"):
        await chain.send(deployer, channels.prove_two_closings(1, first, second))
    await chain.send(deployer, channels.prove_two_closings(0, first, second))
    statements = [Attestation(EPOCH, bytes([units]) * 32, units, 1, LOG) for units in (1, 2)]
    first, second = ((a, signer.sign(a.digest(channels.domain))) for a in statements)
    result = await chain.send(deployer, channels.prove_two_attestations(0, first, second))
    assert channels.only_event(result, "EquivocationProven").arguments["member"] == 0
    slash = await chain.contracts.slasher.slash(2)
    unit_wei = (await channels.terms()).unit_wei
    assert (slash.is_member, slash.is_premium, slash.refill_wei) == (True, True, 2 * unit_wei)
    assert slash.challenger == deployer.address
