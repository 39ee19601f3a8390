"""The desk of every member: what is served once stays served, and nothing twice."""

import asyncio
import secrets
from dataclasses import replace

import pytest

from ledger.domain.issuing import Why, input_place
from ledger.errors import IssuingRefusedError, NotReadyError, OverloadedError
from ledger.service.payments import desk as desk_module
from qnet import cbor
from qnet.crypto.keys import ReceiptKey
from qnet.crypto.points import G1
from qnet.eip712 import qnet_domain
from qnet.errors import DecodeError
from qnet.messages.instruments import TOKEN_CLASS, TOKEN_UNITS
from qnet.messages.swap import Swap
from tests.ledger.service.payments.issuing import World, start

pytestmark = [pytest.mark.chain, pytest.mark.timeout(120)]


def refused(why: Why):
    return pytest.raises(IssuingRefusedError, check=lambda error: error.why == why.value)


# purchases


async def test_what_is_bought_verifies_and_the_same_answer_comes_again(world: World):
    owner = await world.open_channel(4)
    wanted = world.want(6, 6)
    data = world.purchase(owner, wanted).encode()
    first = await world.ask(lambda office: office.buy(data), (0, 1, 2, 3))
    assert len(world.unblind(wanted, {n: first[n] for n in (1, 2, 3)})) == 2
    world.now += 10_000
    assert await world.ask(lambda office: office.buy(data), (0, 1, 2, 3)) == first


async def test_a_nonce_serves_one_voucher_at_a_member(world: World):
    owner = await world.open_channel(4)
    await world.buy(owner)
    other = world.purchase(owner, world.want(6), nonce=1)
    with refused(Why.ANOTHER):
        await world.desk(0).buy(other.encode())


async def test_of_two_vouchers_half_and_half_at_most_one_is_completed(world: World):
    owner = await world.open_channel(4)
    left, right = world.want(6), world.want(6)
    one = world.purchase(owner, left)
    two = world.purchase(owner, right, nonce=1)
    await world.ask(lambda office: office.buy(one.encode()), (0, 1))
    await world.ask(lambda office: office.buy(two.encode()), (2, 3))
    await world.pool()
    await world.pool()
    found = cbor.loads(await world.desk(0).purchases(owner.address, 0), max_bytes=1 << 20)
    assert isinstance(found, list)
    assert [signed for _, signed in found] == [[], []]
    assert {wire for wire, _ in found} == {one.encode(), two.encode()}


async def test_races_for_one_place_have_one_winner(world: World):
    owner = await world.open_channel(8)
    rivals = [world.purchase(owner, world.want(6), nonce=1).encode() for _ in range(6)]
    results = await asyncio.gather(
        *(world.desk(0).buy(data) for data in rivals), return_exceptions=True
    )
    assert sum(isinstance(result, bytes) for result in results) == 1
    assert all(isinstance(r, bytes | IssuingRefusedError) for r in results)
    winner = next(n for n, result in enumerate(results) if isinstance(result, bytes))
    assert await world.desk(0).buy(rivals[winner]) == results[winner]


async def test_the_same_request_twice_at_once_gets_one_answer(world: World):
    owner = await world.open_channel(1)
    data = world.purchase(owner, world.want(6)).encode()
    first, second = await asyncio.gather(world.desk(0).buy(data), world.desk(0).buy(data))
    assert first == second


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"points": 3}, Why.FUNDS),
        ({"epoch": 1}, Why.EPOCH),
        ({"epoch": 4_000_000_000}, Why.EPOCH),
        ({"late": 60.0}, Why.EPOCH),
    ],
)
async def test_what_is_not_bought(world: World, change: dict[str, float], why: Why):
    owner = await world.open_channel(2)
    world.now += change.get("late", 0)
    points, epoch = int(change.get("points", 1)), int(change.get("epoch", 0))
    made = world.purchase(owner, world.want(*[6] * points), epoch=epoch)
    with refused(why):
        await world.desk(0).buy(made.encode())


async def test_strangers_and_closing_channels_buy_nothing(world: World):
    stranger, owner = ReceiptKey.generate(), await world.open_channel(2)
    with refused(Why.CHANNEL):
        await world.desk(0).buy(world.purchase(stranger, world.want(6)).encode())
    forged = replace(world.purchase(owner, world.want(6)), signature=bytes(64) + b"\x1b")
    with refused(Why.SIGNATURE):
        await world.desk(0).buy(forged.encode())
    await world.chain.send(owner, world.chain.contracts.channels.start_close())
    await world.chain.control.finalize()
    world.cumulative.clear()
    with refused(Why.CHANNEL):
        await world.desk(0).buy(world.purchase(owner, world.want(6)).encode())


async def test_a_member_without_memory_sells_nothing_that_was_paid_for(world: World):
    """A voucher that was collected is worth nothing again, whoever has forgotten it."""
    owner = await world.open_channel(4)
    wanted = world.want(6)
    made = world.purchase(owner, wanted)
    await world.ask(lambda office: office.buy(made.encode()))
    channels = world.chain.contracts.channels
    collect = channels.collect([made.voucher], [made.signature])
    await world.chain.send(world.chain.network.deployer, collect)
    await world.chain.control.finalize()
    again = world.purchase(owner, world.want(6), nonce=1)
    with refused(Why.NONCE):
        await world.desk(3).buy(again.encode())


async def test_points_are_checked_before_a_share_touches_them(world: World):
    owner = await world.open_channel(2)
    identity, beyond = b"\xc0" + bytes(47), b"\x9f" + b"\xff" * 47
    low_order = bytes.fromhex("80" + "00" * 46 + "04")
    for point in (identity, beyond, low_order):
        wanted = world.want(6)
        made = world.purchase(owner, wanted, nonce=1)
        bad = type(made).make(
            owner,
            world.domain,
            [point],
            cumulative_wei=made.voucher.cumulative_wei,
            nonce=1,
            epoch=0,
        )
        with refused(Why.POINT):
            await world.desk(0).buy(bad.encode())


async def test_nothing_is_served_beyond_the_cap(world: World):
    owner = await world.open_channel(2)
    facts = world.desk(0).facts
    facts._caps[0] = 100
    await world.desk(0).buy(world.purchase(owner, world.want(6)).encode())
    with refused(Why.SOLD_OUT):
        await world.desk(0).buy(world.purchase(owner, world.want(6)).encode())
    assert (await world.desk(0).status())["left_units"] == 36


# swaps


async def test_swaps_conserve_value(world: World):
    owner = await world.open_channel(2)
    first, second = await world.buy(owner, 2)
    halves = await world.trade([first], 5, 5)
    for classes in ((5, 6), (5,), (6, TOKEN_CLASS), (4, 4, 0)):
        wanted = world.want(*classes)
        with refused(Why.BALANCE):
            await world.desk(0).swap(world.swap(halves, wanted).encode())
    token, small = await world.trade([*halves, second], TOKEN_CLASS, 6)
    assert token.chain is not None
    assert small.class_ == 6


async def test_a_credit_is_spent_once_wherever(world: World):
    owner = await world.open_channel(1)
    (credit,) = await world.buy(owner)
    one = world.swap([credit], world.want(TOKEN_CLASS)).encode()
    two = world.swap([credit], world.want(6)).encode()
    answers = await world.ask(lambda office: office.swap(one), (0, 1))
    with refused(Why.ANOTHER):
        await world.desk(0).swap(two)
    await world.ask(lambda office: office.swap(two), (2, 3))
    await world.pool()
    await world.pool()
    found = cbor.loads(
        await world.desk(0).input(credit.input().message(world.place)), max_bytes=9999
    )
    assert found == [one, []]
    assert await world.ask(lambda office: office.swap(one), (0, 1)) == answers


async def test_instruments_that_do_not_hold_are_refused(world: World):
    owner = await world.open_channel(2)
    credit, other = await world.buy(owner, 2)
    summed = G1.decode(credit.signature) + G1.decode(other.signature)
    shifted = replace(credit, signature=(summed + -G1.decode(other.signature)).encode())
    assert shifted == credit
    lies = [
        [replace(credit, signature=other.signature)],
        [replace(credit, epoch=1)],
        [replace(credit, class_=5)],
        [replace(credit, signature=bytes(48))],
        # wrong ones whose sum is right
        [
            replace(credit, signature=summed.encode()),
            replace(other, signature=(-G1.decode(other.signature)).encode()),
        ],
    ]
    for given in lies:
        with refused(Why.INSTRUMENT):
            await world.desk(0).swap(world.swap(given, world.want(6)).encode())


async def test_a_token_is_that_of_its_relay_epoch_and_chain(world: World):
    owner = await world.open_channel(1)
    (token,) = await world.trade(await world.buy(owner), TOKEN_CLASS, relay=7)
    await world.register(1)
    await world.register(2)
    world.now = world.clock.bounds(0)[1] + world.clock.terms.token_s + 1
    elsewhere = replace(token.input(), signed=b"")
    for lie in (replace(elsewhere, relay=8), replace(elsewhere, refund=token.key.address[::-1])):
        wanted = world.want(6, epoch=2)
        unsigned = Swap(2, (lie,), tuple(each.output() for each in wanted))
        with pytest.raises(IssuingRefusedError):
            await world.desk(0).swap(unsigned.sign([token.key], world.domain).encode())
    other = qnet_domain(world.place.chain_id + 1, world.place.channels)
    made = world.swap([token], world.want(6, epoch=2), epoch=2)
    with refused(Why.SIGNATURE):
        await world.desk(0).swap(made.sign([token.key], other).encode())
    assert await world.desk(0).swap(made.encode())


async def test_members_act_on_final_blocks_only(world: World):
    """A channel that a reorganisation could still take away buys nothing."""
    amount, contracts, chain = TOKEN_UNITS * world.unit_wei, world.chain.contracts, world.chain
    owner = await chain.new_account(amount)
    await chain.send(owner, contracts.token.approve(contracts.channels.address, amount))
    await chain.client.request("evm_setIntervalMining", 0)
    try:
        prepared = await chain.sender(owner).prepare(contracts.channels.open(amount))
        await chain.client.broadcast(prepared.raw)
        await chain.control.mine()
        assert (await contracts.channels.channel_of(owner.address)).is_open
        made = world.purchase(owner, world.want(6)).encode()
        with refused(Why.CHANNEL):
            await world.desk(0).buy(made)
        await chain.control.finalize()
        assert await world.desk(0).buy(made)
    finally:
        await chain.client.request("evm_setIntervalMining", 1)


async def test_tokens_come_back_when_their_k_is_final(world: World):
    owner = await world.open_channel(1)
    token, *_ = await world.trade(await world.buy(owner), TOKEN_CLASS, relay=7)
    terms, end = world.clock.terms, world.clock.bounds(0)[1]
    await world.register(1)

    async def swap_for(*classes: int) -> bytes:
        made = world.swap([token], world.want(*classes, epoch=1), epoch=1)
        return await world.desk(0).swap(made.encode())

    world.now = end + terms.token_s - 30
    with refused(Why.TOO_EARLY):
        await swap_for(6)
    async with world.desk(0).facts.member.work() as rows:
        spent = token.spent(60)
        name = spent.token_id
        await rows.payment_claims.spent(0, 7, name, spent.unit, claimed=True)
    await world.register(2)
    world.now = end + terms.token_s + 1
    made = world.swap([token], world.want(6, epoch=2), epoch=2)
    with refused(Why.BALANCE):
        await world.desk(0).swap(made.encode())
    made = world.swap([token], world.want(2, epoch=2), epoch=2)
    assert await world.desk(0).swap(made.encode())
    world.now = end + terms.exit_s - 1
    other = world.swap([token], world.want(1, 1, epoch=2), epoch=2)
    with refused(Why.ANOTHER):
        await world.desk(0).swap(other.encode())


async def test_what_is_exited_is_no_input(world: World):
    owner = await world.open_channel(1)
    (credit,) = await world.buy(owner)
    await world.start_exit(credit)
    with refused(Why.GONE):
        await world.desk(0).swap(world.swap([credit], world.want(6)).encode())


# crashes, floods, nonsense


async def test_a_member_that_starts_again_answers_as_before(world: World):
    owner = await world.open_channel(3)
    data = world.purchase(owner, world.want(6)).encode()
    first = await world.desk(0).buy(data)
    await start(world, world.desk(0).facts.member)
    assert await world.desk(0).buy(data) == first
    other = world.purchase(owner, world.want(6), nonce=1)
    with refused(Why.ANOTHER):
        await world.desk(0).buy(other.encode())
    assert (await world.desk(0).status())["left_units"] > 0


async def test_a_crash_before_the_answer_is_stored_promises_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """What was signed and not stored never left; what was stored is answered after a restart."""
    owner = await world.open_channel(2)
    made, member = world.purchase(owner, world.want(6)), world.desk(0).facts.member
    original = desk_module.Desk._write

    async def crash_before(*_args: object) -> bytes:
        raise SystemError

    async def crash_after(self, *args) -> bytes:
        await original(self, *args)
        raise SystemError

    monkeypatch.setattr(desk_module.Desk, "_write", crash_before)
    with pytest.raises(SystemError):
        await world.desk(0).buy(made.encode())
    async with member.work() as rows:
        assert await rows.payments.of_epoch(0) == []
    monkeypatch.setattr(desk_module.Desk, "_write", crash_after)
    with pytest.raises(SystemError):
        await world.desk(0).buy(made.encode())
    monkeypatch.setattr(desk_module.Desk, "_write", original)
    await start(world, member)
    async with member.work() as rows:
        (row,) = await rows.payments.of_epoch(0)
    assert await world.desk(0).buy(made.encode()) == row.own


async def test_more_than_it_takes_is_turned_away_before_any_pairing(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(desk_module, "WORK_MAX", 2)
    owner = await world.open_channel(6)
    bought = [(await world.buy(owner))[0] for _ in range(6)]
    swaps = [world.swap([credit], world.want(6)).encode() for credit in bought]
    results = await asyncio.gather(
        *(world.desk(0).swap(data) for data in swaps), return_exceptions=True
    )
    turned = [result for result in results if isinstance(result, OverloadedError)]
    assert turned
    assert world.desk(0).desk.turned_away == len(turned)
    assert all(isinstance(r, bytes | OverloadedError) for r in results)
    for data in swaps:
        assert await world.desk(0).swap(data)


async def test_nonsense_is_malformed(world: World):
    for data in (b"", secrets.token_bytes(200), bytes(4096)):
        with pytest.raises(DecodeError):
            await world.desk(0).buy(data)
        with pytest.raises(DecodeError):
            await world.desk(0).swap(data)
        with pytest.raises(DecodeError):
            await world.desk(0).claim(data)


async def test_without_shares_nothing_is_signed(world: World):
    owner = await world.open_channel(1)
    await world.keys[0].erase(0)
    with pytest.raises(NotReadyError):
        await world.desk(0).buy(world.purchase(owner, world.want(6)).encode())
    assert not (await world.desk(0).status())["open"]


async def test_places_are_those_of_the_inputs(world: World):
    owner = await world.open_channel(1)
    (credit,) = await world.buy(owner)
    await world.trade([credit], 5, 5)
    message = credit.input().message(world.place)
    async with world.desk(0).facts.member.work() as rows:
        assert list(await rows.payments.at([input_place(message)])) == [input_place(message)]
        assert await rows.payments.crowd(0) == (1, 1)
