"""A deposit is made once, wherever it was interrupted."""

import secrets

import pytest

from node.errors import NodeConfigError
from node.payments.user.derivation import Seed
from node.payments.user.funding import FILE, Funding, read_top_up
from qnet.errors import FundsError, RejectedError, UsageError

pytestmark = pytest.mark.chain
WEI = 10**18


class InterruptedRunError(Exception):
    """The command was ended."""


class Mortal:
    """A sender that dies around one of its transactions."""

    def __init__(self, sender, life):
        self.sender, self.life = sender, life

    @property
    def address(self):
        return self.sender.address

    async def send(self, call):
        self.life.step()
        result = await self.sender.send(call)
        self.life.step()
        return result


class Life:
    def __init__(self, steps):
        self.left = steps

    def step(self):
        if self.left == 0:
            raise InterruptedRunError
        self.left -= 1


@pytest.fixture
def funding(chain, tmp_path):
    seed = Seed(secrets.token_bytes(32))
    user = chain.network.holders[0]

    def make(steps=100):
        life = Life(steps)
        return Funding(
            chain.contracts,
            Mortal(chain.sender(user), life),
            Mortal(chain.sender(seed.channel), life),
            tmp_path,
        )

    return make


async def deposit(funding, amount_wei):
    await funding.carry_out(await funding.begin(amount_wei), lambda _words: None)


async def state_of(funding):
    return await funding.contracts.channels.channel_of(funding.channel.address)


async def test_the_first_deposit_opens_and_the_next_one_tops_up(funding):
    await deposit(funding(), 5 * WEI)
    state = await state_of(funding())
    assert (state.is_open, state.deposit_wei) == (True, 5 * WEI)
    await deposit(funding(), 2 * WEI)
    assert (await state_of(funding())).deposit_wei == 7 * WEI


async def test_a_deposit_interrupted_anywhere_is_made_once(funding, tmp_path):
    expected = 0
    for steps in range(9):
        expected += 3 * WEI
        try:
            await deposit(funding(steps), 3 * WEI)
        except InterruptedRunError:
            assert read_top_up(tmp_path) is not None
            await deposit(funding(), 3 * WEI)
        assert (await state_of(funding())).deposit_wei == expected
        assert read_top_up(tmp_path) is None
    token = funding().contracts.token
    assert await token.balance_of(funding().channel.address) == 0


async def test_another_amount_waits_until_the_first_is_done(funding):
    with pytest.raises(InterruptedRunError):
        await deposit(funding(1), 3 * WEI)
    with pytest.raises(UsageError, match="under way"):
        await funding().begin(4 * WEI)
    await deposit(funding(), 3 * WEI)
    await deposit(funding(), 4 * WEI)


async def test_more_than_there_is_or_nothing_cannot_be_deposited(funding):
    with pytest.raises(FundsError):
        await deposit(funding(), 10**9 * WEI)
    with pytest.raises(UsageError):
        await funding().begin(0)


async def test_a_closing_channel_takes_nothing(funding, chain):
    await deposit(funding(), 3 * WEI)
    made = funding()
    await made.channel.send(chain.contracts.channels.start_close())
    with pytest.raises(RejectedError):
        await made.begin(3 * WEI)


def test_a_damaged_note_is_told(tmp_path):
    (tmp_path / FILE).write_text("{")
    with pytest.raises(NodeConfigError, match="damaged"):
        read_top_up(tmp_path)
