"""Step: the committee dies; relays redeem and users leave by themselves, on the chain alone."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping

from qnet.chain.contracts import Contracts
from qnet.units import WEI_PER_QNET, format_qnet, parse_qnet
from tools.devnet.demo.context import Demo
from tools.devnet.demo.files import Site
from tools.devnet.demo.journal import CheckFailedError
from tools.devnet.demo.payouts import (
    is_paid_out,
    is_what_was_spent,
    paid_to_relays,
    units_of,
)
from tools.devnet.demo.premium import (
    DEPOSIT_QNET,
    POLL_S,
    SLACK_QNET,
    Premium,
    pay,
    show_paid_transfer,
    units_in,
)
from tools.devnet.demo.watch import ask
from tools.devnet.processes import stop_all

PATIENCE_S = 240.0
LEAST_LEFT_S = 25.0
"""So long before the end of an issuance epoch nothing new is begun in it."""
STOP_S = 2.0
LOOK_S = 5.0
CHAIN_LAG_S = 3.0
"""So much may the newest block be behind the clock."""


async def show_exodus(demo: Demo, premium: Premium) -> None:
    """Kill every member, and get everything out without them."""
    journal = demo.journal
    with journal.step("committee killed"):
        await asyncio.to_thread(demo.qnet, "client", "down", "--home", demo.config.client_home)
        rows = await pay(demo, "tokens")
        for epoch in premium.clock.kept(time.time()):
            premium.used.setdefault(epoch, units_in(rows, epoch))
        async with demo.contracts() as contracts:
            await _await_settled(contracts, premium)
        members = {record.name for record in demo.state.members}
        dead = [process for process in demo.state.processes if process.name in members]
        await asyncio.to_thread(stop_all, dead, grace_s=STOP_S)
        journal.require(
            not any(process.alive for process in dead),
            "every member of the committee is dead",
            ", ".join(sorted(members)),
        )
    with journal.step("user leaves"):
        left = await _leave(demo)
        journal.require(
            not left["lost"], "exits of what can be exited by now are begun", _in_words(left)
        )
    with journal.step("relays redeem"):
        await _redeem(demo, premium)
    with journal.step("user exits"):
        await _exit(demo, premium)


async def pay_again(demo: Demo, site: Site, premium: Premium) -> None:
    """Buy no more, and have tokens of a running epoch spent, which nobody will attest.

    Early in that epoch: members pay out the one before, and must be gone when they would go on.
    """
    with demo.journal.step("last purchases"):
        left_wei = await _stop_buying(demo)
        async with demo.contracts() as contracts:
            await _await_collected(contracts, premium, left_wei)
        demo.journal.verified("what was bought is collected", f"{format_qnet(left_wei)} QNET left")
    last = premium.epoch
    while premium.epoch == last:
        now = time.time()
        epoch = premium.clock.epoch_at(now)
        end = premium.clock.bounds(epoch)[1]
        if epoch == last or end - now < LEAST_LEFT_S:
            await asyncio.sleep(max(POLL_S, end - now))
            continue
        await show_paid_transfer(demo, site, premium)


async def _stop_buying(demo: Demo) -> int:
    """Wait until no purchase is under way; wei left in the channel. Swaps may be."""
    await pay(demo, "auto", "off")
    deadline, status = time.monotonic() + PATIENCE_S, None
    while status is None or status["buying"]:
        status = await ask(demo.config.client_home, "pay.status")
        if time.monotonic() > deadline:
            raise CheckFailedError("a purchase does not end", why=str(status))
        await asyncio.sleep(POLL_S)
    return parse_qnet(str(status["channel"]["left"]["amount"]))


async def _await_collected(contracts: Contracts, premium: Premium, left_wei: int) -> None:
    """Wait until members have collected what was bought: from then on nobody depends on them."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        state = await contracts.channels.channel_of(premium.account)
        if state.deposit_wei - state.collected_wei <= left_wei:
            return
        await asyncio.sleep(POLL_S)
    raise CheckFailedError("what was bought is not collected")


async def _await_settled(contracts: Contracts, premium: Premium) -> None:
    """Wait until the epoch before is paid out: what is attested is claimed with members' help."""
    epoch, deadline = premium.epoch - 1, time.monotonic() + PATIENCE_S
    used = premium.used.get(epoch) or Counter()
    while time.monotonic() < deadline:
        paid = await paid_to_relays(contracts, premium.start_block, epoch=epoch)
        units = units_of(paid)
        is_paid = await is_paid_out(contracts, epoch, units)
        is_late = premium.clock.elapsed(epoch, time.time()) >= premium.clock.terms.attest_s
        if (is_paid or is_late or not used) and is_what_was_spent(units, used):
            return
        await asyncio.sleep(POLL_S)
    raise CheckFailedError("not every relay was paid", why=f"used {dict(used)}, paid {paid}")


async def _redeem(demo: Demo, premium: Premium) -> None:
    """Every relay shows the chain its tokens of epochs that nobody attests any more."""
    async with demo.contracts() as contracts:
        epochs = [
            epoch
            for epoch, used in premium.used.items()
            if used and not await _is_attested(contracts, epoch)
        ]
        end = premium.clock.bounds(max(epochs, default=premium.epoch))[1]
        await _sleep_until(end + premium.clock.terms.attest_s + CHAIN_LAG_S)
        used = _by_relay(premium.used[epoch] for epoch in epochs)
        for node in demo.state.nodes:
            if node.index in used:
                keystore = demo.state.account(node.operator).keystore
                words = ("node", "redeem", "--home", node.home, "--keystore", keystore)
                passphrase = ("--passphrase-file", demo.config.passphrase_file, "--yes")
                await asyncio.to_thread(demo.qnet, *words, *passphrase)
        payouts = [
            await paid_to_relays(contracts, premium.start_block, epoch=epoch) for epoch in epochs
        ]
        paid = _by_relay(map(units_of, payouts))
        demo.journal.require(
            bool(paid) and is_what_was_spent(paid, used),
            "the chain paid each relay for the tokens it showed itself",
            ", ".join(f"node {relay}: {paid[relay]} of {used[relay]}" for relay in sorted(paid)),
            why=f"paid {dict(paid)}, spent {dict(used)}",
        )


async def _is_attested(contracts: Contracts, epoch: int) -> bool:
    state = await contracts.channels.issuance_of(epoch)
    return state is not None and state.attested > 0


def _by_relay(parts: Iterable[Mapping[int, int]]) -> Counter[int]:
    """Sums of units."""
    total: Counter[int] = Counter()
    for part in parts:
        total.update(part)
    return total


async def _leave(demo: Demo) -> Counter[str]:
    """How many channels, credits and tokens stand where on their way out."""
    rows = await pay(demo, "refund", "--exit", "--yes")
    return Counter(row["state"] for row in rows)


def _in_words(states: Counter[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


async def _exit(demo: Demo, premium: Premium) -> None:
    """Channel, credits and tokens become money of the user: all that no relay was paid."""
    journal, deadline = demo.journal, time.monotonic() + PATIENCE_S
    while (states := await _leave(demo)).keys() - {"paid"}:
        journal.console.print(f"          {_in_words(states)}", highlight=False)
        if states["lost"] or states["refused"] or time.monotonic() > deadline:
            raise CheckFailedError("the wallet did not get everything out", why=_in_words(states))
        await asyncio.sleep(LOOK_S)
    async with demo.contracts() as contracts:
        held = await contracts.token.balance_of(premium.account)
        paid = await paid_to_relays(contracts, premium.start_block)
        units = sum(units for units, _ in paid.values())
    put_in = (DEPOSIT_QNET + SLACK_QNET) * WEI_PER_QNET
    gone, rest = divmod(put_in - held, premium.clock.terms.unit_wei)
    lost = sum(_by_relay(premium.used.values()).values()) - units
    journal.require(
        not rest and units <= gone <= units + lost,
        "channel, credits and tokens were paid out: all but what relays earned",
        f"{format_qnet(held)} of {format_qnet(put_in)} QNET, {units} units went to relays, "
        f"{gone - units} of {lost} that never reached one are lost",
    )


async def _sleep_until(when: float) -> None:
    await asyncio.sleep(max(POLL_S, when - time.time()))
