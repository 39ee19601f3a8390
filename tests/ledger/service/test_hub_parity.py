"""The model of the stake hub against the deployed contract: the same integers after every step."""

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ledger.domain.accounts import NodeStake, Position
from ledger.domain.hub import Hub
from ledger.domain.state import NodeState
from ledger.errors import StakeRefusedError
from qnet.chain.errors import ContractError
from qnet.chain.staking import Role
from qnet.chain.values import Call
from qnet.crypto.keys import ReceiptKey
from tests.support.anvil import WEI, ChainFixture, send_as

pytestmark = [pytest.mark.chain, pytest.mark.timeout(240)]

BOND = 1000 * WEI
FUNDS = 500_000 * WEI
STEPS = 70


@dataclass
class Pair:
    """Contract and model side by side."""

    chain: ChainFixture
    model: Hub
    accounts: list[ReceiptKey]
    owners: list[ReceiptKey]
    indexes: list[int] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    @classmethod
    async def make(cls, chain: ChainFixture) -> "Pair":
        contracts = chain.contracts
        accounts = [await chain.new_account(FUNDS) for _ in range(3)]
        owners = [await chain.new_account(FUNDS) for _ in range(3)]
        pair = cls(
            chain, Hub(chain.network.parameters, await contracts.epochs.clock()), accounts, owners
        )
        await chain.control.warp(chain.network.deployment.genesis_s + 1)
        for key in (*accounts, *owners):
            await chain.send(key, contracts.token.approve(contracts.hub.address, FUNDS))
        for owner in owners:
            node = await chain.register_node(owner, role=Role.RELAY)
            pair.indexes.append(node.index)
            pair.model.nodes[node.index] = NodeStake(owner.address, NodeState.ACTIVE)
            await pair.act(
                "bond", owner, contracts.hub.bond(node.index, BOND), pair.bond(node.index)
            )
        return pair

    def bond(self, index: int) -> Callable[[], object]:
        return lambda: self.model.bond(index, BOND)

    async def act(
        self, name: str, key: ReceiptKey | None, call: Call, same: Callable[[], object]
    ) -> None:
        """Do it to both; what one refuses, the other must refuse with the same name."""
        try:
            receipt = await (self.as_slasher(call) if key is None else self.chain.send(key, call))
        except ContractError as error:
            self.model.now = await self.chain.control.now()
            before = copy.deepcopy(self.model)  # a refusal undoes even what was brought up to date
            with pytest.raises(StakeRefusedError, match=error.name):
                same()
            self.model = before
            self.refused.add(error.name)
            return
        block = await self.chain.client.block(receipt.block_number)
        self.model.now = block.timestamp
        same()
        self.done[name] = self.done.get(name, 0) + 1

    async def as_slasher(self, call: Call):
        """The slasher's calls, without the court."""
        return await send_as(self.chain.client, self.chain.contracts.slasher.address, call)

    async def compare(self) -> None:
        hub, model = self.chain.contracts.hub, self.model
        for index in self.indexes:
            node = model.nodes[index]
            assert await hub.bond_of(index) == node.bond_wei
            assert await hub.shares_of(index) == node.pool.shares
            assert await hub.pool_of(index) == node.pool.available(model.now)
            assert await hub.stake_of(index) == model.stake_of(index)
            assert await hub.owed(index) == node.owed_wei
            for epoch in range(3):
                assert await hub.slashable_of(index, epoch) == model.slashable_of(index, epoch)
            for key in self.accounts:
                position = model.positions.get((key.address, index), Position())
                found = await hub.position_of(key.address, index)
                assert (found.shares, found.principal_wei, found.worth_wei) == (
                    position.shares,
                    position.principal_wei,
                    model.worth_of(key.address, index),
                )
        for key in (*self.accounts, *self.owners):
            tickets = {ticket.number: ticket for ticket in await hub.tickets_of(key.address)}
            mine = model.tickets.get(key.address, {})
            assert tickets.keys() == mine.keys()
            for number, ticket in mine.items():
                assert tickets[number].amount_wei == model.ticket_worth(key.address, number)
                assert tickets[number].epoch == ticket.epoch
                assert tickets[number].unlocks_at_s == ticket.unlocks_at_s
            liens = [
                (lien.source, lien.target, lien.epoch, lien.slashes_seen, lien.shares)
                for lien in await hub.liens_of(key.address)
            ]
            ours = model.liens.get(key.address, [])
            assert sorted(liens) == sorted(
                (lien.source, lien.target, lien.epoch, lien.slashes_seen, lien.shares)
                for lien in ours
            )
            assert await hub.votes(key.address) == model.votes_of(key.address)
        held = await self.chain.contracts.token.balance_of(hub.address)
        assert held == model.balance_wei


async def one_step(pair: Pair, dice: random.Random) -> None:
    hub, model, contracts = pair.chain.contracts.hub, pair.model, pair.chain.contracts
    place = dice.randrange(3)
    index, other = pair.indexes[place], pair.indexes[(place + 1 + dice.randrange(2)) % 3]
    key, owner = dice.choice(pair.accounts), pair.owners[place]
    account = key.address
    held = model.positions.get((account, index), Position()).shares
    shares = dice.choice([held, held // 3, held // 7, held + 1, 1])
    amount = dice.choice([1, 7 * WEI, 333 * WEI + 1, 1234 * WEI, 4000 * WEI])
    tickets = list(model.tickets.get(account, {})) or [0]
    epoch = max(model.clock.epoch_at(model.now) - dice.randrange(2), 0)
    ppm, most = dice.choice([1, 50_000, 100_000]), dice.choice([0, WEI, 10**30])
    match dice.choice(["delegate"] * 4 + ["undelegate"] * 3 + ["redelegate"] * 3 + ["rest"] * 5):
        case "delegate":
            call = hub.delegate(index, amount)
            await pair.act(
                "delegate", key, call, lambda: pair.model.delegate(account, index, amount)
            )
        case "undelegate":
            call = hub.undelegate(index, shares)
            await pair.act(
                "undelegate", key, call, lambda: pair.model.undelegate(account, index, shares)
            )
        case "redelegate":
            call = hub.redelegate(index, other, shares)
            await pair.act(
                "redelegate",
                key,
                call,
                lambda: pair.model.redelegate(account, index, other, shares),
            )
        case _:
            match dice.choice(["slash", "slash", "poke", "unbond", "withdraw", "wait"]):
                case "slash":
                    call = contracts.hub._write("slash", index, epoch, ppm, most)
                    await pair.act(
                        "slash", None, call, lambda: pair.model.slash(index, epoch, ppm, most)
                    )
                case "poke":
                    call = hub.poke(account, index)
                    await pair.act("poke", key, call, lambda: pair.model.poke(account, index))
                case "unbond":
                    part = amount // 10 + 1
                    await pair.act(
                        "unbond",
                        owner,
                        hub.unbond(index, part),
                        lambda: pair.model.unbond(index, part),
                    )
                case "withdraw":
                    number = dice.choice(tickets)
                    call = hub.withdraw(number)
                    await pair.act(
                        "withdraw", key, call, lambda: pair.model.withdraw(account, number)
                    )
                case _:
                    seconds = dice.choice([1, 20, 95])
                    await pair.chain.control.warp(await pair.chain.control.now() + seconds)


@pytest.mark.parametrize("seed", [1, 2])
async def test_model_and_contract_keep_the_same_books(chain: ChainFixture, seed: int):
    pair, dice = await Pair.make(chain), random.Random(seed)
    for _ in range(STEPS):
        await one_step(pair, dice)
        await pair.compare()
    assert {"delegate", "undelegate", "redelegate", "slash"} <= pair.done.keys()
    assert pair.refused
