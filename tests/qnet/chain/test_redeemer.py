"""Settling without the committee through the typed wrapper: every signature is Python's own."""

import pytest

from qnet.chain.errors import ContractError
from qnet.chain.redeemer import Redemption, Stage
from qnet.crypto.keys import ReceiptKey
from qnet.messages.instruments import Unit
from qnet.messages.settlement import Exit, ProvenLeaf, Redeem
from qnet.messages.swap import CreditInput, Output, Swap, TokenInput
from tests.support.issuer import EPOCH, blinded_points, bought, issuance_clock, register

pytestmark = pytest.mark.chain
WEI = 10**18
PAYEE = b"\x77" * 20


@pytest.fixture
async def scene(chain, payer):
    """Keys of an epoch, 256 units collected, and a payer whose bonds are approved."""
    contracts = chain.contracts
    issuer = await register(chain)
    await chain.send(payer, contracts.channels.open(50 * WEI))
    purchase, _ = await bought(chain, payer, 4)
    await chain.send(payer, contracts.token.approve(contracts.redeemer.address, 10**6 * WEI))
    return payer, issuer, purchase


async def after(chain, offset_s):
    _, end = (await issuance_clock(chain)).bounds(EPOCH)
    await chain.control.warp(end + offset_s)


async def test_a_relay_redeems_what_nobody_attested(chain, scene):
    payer, issuer, _ = scene
    channels, redeemer, token = (
        chain.contracts.channels,
        chain.contracts.redeemer,
        chain.contracts.token,
    )
    owner = chain.network.holders[1]
    node = await chain.register_node(owner, bond_wei=2000 * WEI)
    shown = Redeem.of(EPOCH, node.index, [issuer.token(node.index).spent(k) for k in (64, 56, 1)])
    terms = await channels.terms()
    await after(chain, terms.attest_s)
    before = await token.balance_of(owner.address)
    signed = owner.sign(shown.digest(channels.domain))
    nothing = ProvenLeaf.nothing(node.index)
    with pytest.raises(ContractError, match="NotRelayOwner"):
        await chain.send(payer, redeemer.redeem(shown, nothing, issuer.keys))
    result = await chain.send(payer, redeemer.redeem(shown, nothing, issuer.keys, signed))
    assert redeemer.only_event(result, "Redeemed").arguments["proven"] == 121
    assert await token.balance_of(owner.address) - before == 121 * terms.unit_wei * 4 // 5
    greatest = shown.tokens[-1].token_id[:16]
    assert await redeemer.redemption_of(EPOCH, node.index) == Redemption(121, 121, greatest)
    assert (await channels.issuance_of(EPOCH)).redeemed == 121
    assert chain.contracts.decode(result.logs[-1]).contract == "QNetToken"
    assert {chain.contracts.decode(log).contract for log in result.logs} == {
        "PremiumChannels",
        "QNetToken",
        "Redeemer",
    }
    with pytest.raises(ContractError, match="NotAscending"):
        await chain.send(owner, redeemer.redeem(shown, nothing, issuer.keys))


async def test_a_credit_is_exited(chain, scene):
    payer, issuer, _ = scene
    channels, redeemer, token = (
        chain.contracts.channels,
        chain.contracts.redeemer,
        chain.contracts.token,
    )
    key = ReceiptKey.generate()
    credit = issuer.credit(6, key)
    asked = Exit(credit.message(channels.place), 0, PAYEE)
    signed = key.sign(asked.digest(channels.domain))
    await chain.send(payer, redeemer.start_credit_exit(credit, PAYEE, signed, issuer.keys))
    state = await redeemer.exit_of(asked.message)
    assert (state.stage, state.units, state.to, state.exiter) == (
        Stage.OPEN,
        64,
        PAYEE,
        payer.address,
    )
    terms = await channels.terms()
    await after(chain, terms.redeem_s)
    await chain.send(chain.network.deployer, redeemer.finalize_exit(asked.message))
    assert await token.balance_of(PAYEE) == 64 * terms.unit_wei
    assert (await redeemer.exit_of(asked.message)).stage is Stage.DONE


async def test_the_exit_of_a_swapped_credit_is_refuted_by_its_swap(chain, scene):
    payer, issuer, _ = scene
    channels, redeemer = chain.contracts.channels, chain.contracts.redeemer
    key, other = ReceiptKey.generate(), ReceiptKey.generate()
    held = [issuer.credit(6, other), issuer.credit(6, key)]
    points = blinded_points(2)
    swap = Swap(EPOCH, tuple(held), (Output(7, points[0]), Output(6, points[1])))
    swap = swap.sign([other, key], channels.domain)
    swap.verify(channels.domain)
    assert isinstance(swap.inputs[1], CreditInput)
    asked = Exit(swap.inputs[1].message(channels.place), 0, PAYEE)
    exiting = redeemer.start_credit_exit(
        held[1], PAYEE, key.sign(asked.digest(channels.domain)), issuer.keys
    )
    await chain.send(payer, exiting)
    delivered = [issuer.sign_point(7, points[0]), issuer.sign_point(6, points[1])]
    challenger = chain.network.holders[2]
    for position, signatures, error in (
        (0, delivered, "WrongSigner"),
        (1, delivered[::-1], "InvalidSignature"),
    ):
        wrong = redeemer.challenge_by_swap(asked.message, swap, position, signatures, issuer.keys)
        with pytest.raises(ContractError, match=error):
            await chain.send(challenger, wrong)
    right = redeemer.challenge_by_swap(asked.message, swap, 1, delivered, issuer.keys)
    result = await chain.send(challenger, right)
    refuted = redeemer.only_event(result, "ExitRefuted").arguments
    assert refuted["challenger"] == challenger.address
    assert (await redeemer.exit_of(asked.message)).stage is Stage.REFUTED


async def test_the_exit_of_a_token_is_refuted_by_a_deeper_preimage(chain, scene):
    payer, issuer, _ = scene
    channels, redeemer = chain.contracts.channels, chain.contracts.redeemer
    await after(chain, (await channels.terms()).token_s)
    for admitted, deeper in ((0, 1), (10, 11)):
        held = issuer.token(3)
        fresh = TokenInput(EPOCH, 3, held.chain.top, held.refund.address, held.signature)
        left = (EPOCH, 3, held.spent(admitted)) if admitted else fresh
        asked = Exit(fresh.message(channels.place), admitted, PAYEE)
        signed = held.refund.sign(asked.digest(channels.domain))
        await chain.send(payer, redeemer.start_token_exit(left, PAYEE, signed, issuer.keys))
        assert (await redeemer.exit_of(asked.message)).units == 64 - admitted
        unit = Unit(deeper, held.chain.preimage(deeper))
        refuting = redeemer.challenge_by_preimage(asked.message, unit.k, unit.preimage)
        await chain.send(chain.network.deployer, refuting)
        assert (await redeemer.exit_of(asked.message)).stage is Stage.REFUTED


async def test_paid_and_not_served(chain, scene):
    payer, _, purchase = scene
    channels, redeemer = chain.contracts.channels, chain.contracts.redeemer
    await chain.send(payer, redeemer.dispute_issuance(purchase))
    dispute_id = purchase.voucher.digest(channels.domain)
    state = await redeemer.dispute_of(dispute_id)
    assert (state.stage, state.units, state.low_wei) == (Stage.OPEN, 256, 0)
    assert state.high_wei == await redeemer.disputed_through(payer.address)
    with pytest.raises(ContractError, match="TooEarly"):
        await chain.send(payer, redeemer.refund_issuance(dispute_id))
    terms = await channels.terms()
    await after(chain, terms.redeem_s)
    before = await channels.channel_of(payer.address)
    await chain.send(payer, redeemer.refund_issuance(dispute_id))
    refunded = await channels.channel_of(payer.address)
    assert refunded.deposit_wei - before.deposit_wei == 256 * terms.unit_wei


async def test_what_is_disputed_is_delivered(chain, scene):
    payer, issuer, purchase = scene
    channels, redeemer = chain.contracts.channels, chain.contracts.redeemer
    await chain.send(payer, redeemer.dispute_issuance(purchase))
    dispute_id = purchase.voucher.digest(channels.domain)
    answers = [issuer.sign_point(6, point) for point in purchase.points]
    member = chain.network.holders[2]
    wrong = redeemer.deliver(dispute_id, purchase, answers[::-1], issuer.keys)
    with pytest.raises(ContractError, match="InvalidSignature"):
        await chain.send(member, wrong)
    right = redeemer.deliver(dispute_id, purchase, answers, issuer.keys)
    result = await chain.send(member, right)
    delivered = redeemer.only_event(result, "IssuanceDelivered").arguments
    assert delivered["deliverer"] == member.address
    assert (await redeemer.dispute_of(dispute_id)).stage is Stage.REFUTED
