"""Moves QNET from an account of the user into the channel of a wallet, and goes on after a crash.

What is meant is written down before anything is sent: how much, and what the channel held before.
A second run with the same amount does what is missing and nothing twice.

Source: docs/spec/payments.md, QN-PAY-020.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from node.errors import NodeConfigError
from qnet.errors import FundsError, RejectedError, UsageError
from qnet.files import write_atomic
from qnet.units import format_qnet

if TYPE_CHECKING:
    from qnet.chain.contracts import Contracts
    from qnet.chain.sender import Sender

FILE: Final = "topup.json"
STEP_GAS: Final = 400_000
"""Gas that an approval, or a deposit, takes at most, with the margins of `estimate_gas`."""


@dataclass(frozen=True, slots=True)
class TopUp:
    """One deposit that is meant; stored before it begins.

    Args:
        amount_wei: to be deposited.
        before_wei: what the channel's deposit was.
    """

    amount_wei: int
    before_wei: int


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction that is still missing.

    Args:
        words: what it does.
        sender: whose it is: the user, or the channel's account.
        call: makes it.
    """

    words: str
    sender: Sender
    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Funding:
    """Deposits of one channel.

    Args:
        contracts: of the deployment.
        user: account that pays.
        channel: account of the channel, which follows from the seed.
        folder: of the wallet.
    """

    contracts: Contracts
    user: Sender
    channel: Sender
    folder: Path

    async def begin(self, amount_wei: int) -> TopUp:
        """Take up the deposit that was under way, or write down a new one.

        Raises:
            UsageError: another amount is under way, or nothing is to be deposited.
            RejectedError: the channel is closing.
        """
        if amount_wei <= 0:
            raise UsageError("an amount above 0 is deposited")
        state = await self.contracts.channels.channel_of(self.channel.address)
        if state.closing_since_s:
            raise RejectedError("the channel is closing", try_=("qnet pay refund",))
        known = read_top_up(self.folder)
        if known is None:
            return TopUp(amount_wei, state.deposit_wei)
        if known.amount_wei != amount_wei:
            amount = format_qnet(known.amount_wei)
            raise UsageError(
                f"a deposit of {amount} QNET is under way", try_=(f"qnet pay topup {amount}",)
            )
        return known

    async def missing(self, top_up: TopUp) -> list[Step]:
        """Transactions that are still to be sent, in order; empty when it is done.

        Raises:
            FundsError: the user's account holds too little.
        """
        token, channels = self.contracts.token, self.contracts.channels
        account, amount_wei = self.channel.address, top_up.amount_wei
        state = await channels.channel_of(account)
        if state.deposit_wei >= top_up.before_wei + amount_wei:
            return []
        steps = []
        lacking_wei = amount_wei - await token.balance_of(account)
        if lacking_wei > 0:
            held_wei = await token.balance_of(self.user.address)
            if held_wei < lacking_wei:
                raise FundsError(
                    f"{format_qnet(lacking_wei)} QNET wanted, {format_qnet(held_wei)} there",
                    try_=("qnet wallet balance",),
                )
            words = f"move {format_qnet(lacking_wei)} QNET to the channel's account"
            steps.append(Step(words, self.user, lambda: token.transfer(account, lacking_wei)))
        lacks_approval = await token.allowance(account, channels.address) < amount_wei
        steps += await self._gas(STEP_GAS * (1 + lacks_approval))
        if lacks_approval:
            steps.append(
                Step(
                    "let the contract take them",
                    self.channel,
                    lambda: token.approve(channels.address, amount_wei),
                )
            )
        verb = "top the channel up" if state.is_open else "open the channel"
        deposit = channels.top_up if state.is_open else channels.open
        words = f"{verb} with {format_qnet(amount_wei)} QNET"
        return [*steps, Step(words, self.channel, lambda: deposit(amount_wei))]

    async def _gas(self, gas: int) -> list[Step]:
        """Coins for the channel's account, if it has too few."""
        from qnet.chain.values import Call

        client, account = self.contracts.client, self.channel.address
        needed_wei = gas * (await client.fees()).max_fee_wei
        if await client.balance(account) >= needed_wei:
            return []
        words = f"move {needed_wei / 10**18:.9f} coins of the chain for its transactions"
        return [
            Step(
                words,
                self.user,
                lambda: Call(account, value_wei=needed_wei, label="coins for the channel"),
            )
        ]

    async def carry_out(self, top_up: TopUp, tell: Callable[[str], None]) -> None:
        """Send what is missing, one after the other; may be interrupted anywhere.

        Raises:
            ChainError: a transaction failed; the same command goes on.
        """
        write_atomic(self.folder / FILE, json.dumps(asdict(top_up)).encode() + b"\n")
        while steps := await self.missing(top_up):
            step = steps[0]
            tell(step.words)
            await step.sender.send(step.call())
        (self.folder / FILE).unlink()


def read_top_up(folder: Path) -> TopUp | None:
    """The deposit that is under way; None if there is none.

    Raises:
        NodeConfigError: the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        fields = json.loads(path.read_bytes())
        return TopUp(int(fields["amount_wei"]), int(fields["before_wei"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise NodeConfigError(
            f"{path} is damaged",
            why=str(error),
            try_=(f"rm {path}, and compare `qnet pay status` before you deposit again",),
        ) from error
