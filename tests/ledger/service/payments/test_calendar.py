"""What a member begins, erases and forgets, by its clock."""

import pytest

from ledger.domain.votes import Kind, Topic
from ledger.service.payments.cycle import Cycle
from qnet.chain.staking import Role
from qnet.messages.claims import Claims
from qnet.messages.instruments import TOKEN_CLASS
from tests.ledger.service.payments.issuing import World

pytestmark = [pytest.mark.chain, pytest.mark.timeout(120)]

CLOSING, ATTESTATION = Topic(Kind.CLOSING, 0), Topic(Kind.ATTESTATION, 0)


def cycle(world: World, member: int = 0) -> Cycle:
    (found,) = (duty for duty in world.offices[member].duties if isinstance(duty, Cycle))
    return found


async def step(world: World, after_s: float, member: int = 0) -> set[Topic]:
    """Let a member look at its clock so long after the epoch; the agreements it takes part in."""
    world.now = world.clock.bounds(0)[1] + after_s
    await cycle(world, member).step()
    return set(world.handlers[member].topics)


async def test_an_epoch_is_closed_then_attested_if_anything_was_claimed(world: World):
    operator = await world.chain.new_account()
    node = await world.chain.register_node(operator, role=Role.RELAY)
    owner = await world.open_channel(1)
    (token,) = await world.trade(await world.buy(owner), TOKEN_CLASS, relay=node.index)
    terms = world.clock.terms
    assert await step(world, -1) == set()
    assert await step(world, 0) == {CLOSING}
    schedule = world.handlers[0].begun[CLOSING]
    assert schedule.start_s == world.clock.bounds(0)[1] + terms.finish_s
    assert schedule.start_s + 3 * schedule.timeout_s < world.clock.bounds(0)[1] + terms.close_s
    assert not world.keys[0].erased
    assert await step(world, terms.finish_s) == {CLOSING}
    assert world.keys[0].erased == {0}
    assert await step(world, terms.close_s) == set()
    made = Claims.make(
        node.receipt_key, world.domain, epoch=0, relay=node.index, tokens=[token.spent(9)]
    )
    # another member took them: the others are asked before the epoch is given up
    await world.desk(1).claim(made.encode())
    assert await step(world, terms.claim_s - 1) == set()
    await step(world, terms.claim_s)
    assert await step(world, terms.claim_s + 1) == {ATTESTATION}
    assert await step(world, terms.attest_s) == set()


async def test_an_epoch_without_claims_is_not_attested(world: World):
    terms = world.clock.terms
    for after_s in range(terms.claim_s, terms.attest_s, 5):
        assert await step(world, after_s) == set()


async def test_vouchers_are_collected_after_the_epoch_one_member_after_the_other(world: World):
    owner = await world.open_channel(1)
    await world.buy(owner)
    await world.pool()
    due = []
    for member in range(4):
        await step(world, 0, member)
        async with world.desk(member).facts.member.work() as rows:
            (row,) = await rows.outbox.open_rows()
        assert row.kind == "collect"
        due.append(row.not_before - world.now)
    assert sorted(due) == due
    assert due[0] == 0
    assert due[-1] + world.clock.terms.finish_s < world.clock.terms.close_s


async def test_what_the_running_epoch_sold_is_collected_once_a_reward_epoch(world: World):
    """A committee that is gone before the epoch ends must not take the money with it."""
    owner = await world.open_channel(2)
    rewards = world.clock.rewards
    start, end = world.clock.bounds(0)

    async def rows() -> int:
        async with world.desk(0).facts.member.work() as found:
            return len(await found.outbox.open_rows())

    await step(world, start - end)
    assert await rows() == 0
    world.now = start
    await world.buy(owner)
    await step(world, start - end + rewards.epoch_s - 1)
    assert await rows() == 0
    await step(world, start - end + rewards.epoch_s)
    assert await rows() == 1
    await step(world, start - end + rewards.epoch_s + 1)
    assert await rows() == 1


async def test_everything_is_forgotten_in_the_end_but_a_channels_last_voucher(world: World):
    owner = await world.open_channel(2)
    await world.buy(owner)
    (credit,) = await world.buy(owner)
    await world.trade([credit], 5, 5)
    await step(world, world.clock.terms.keep_s - 1)
    async with world.desk(0).facts.member.work() as rows:
        assert len(await rows.payments.of_epoch(0)) == 3
    await step(world, world.clock.terms.keep_s + 1)
    async with world.desk(0).facts.member.work() as rows:
        assert len(await rows.payments.of_epoch(0)) == 1
        assert (await rows.payments.last_voucher(owner.address))[0] == 2
