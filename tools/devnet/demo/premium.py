"""Steps: bandwidth is paid anonymously at all three hops, and relays get what was used."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from qnet.chain.contracts import Contracts
from qnet.issuance import IssuanceClock
from qnet.messages.instruments import TOKEN_UNITS
from qnet.units import format_qnet
from tools.devnet.demo.context import Demo
from tools.devnet.demo.files import HOPS, SMALL_NAME, Site
from tools.devnet.demo.journal import CheckFailedError
from tools.devnet.demo.payouts import (
    is_paid_out,
    is_what_was_spent,
    paid_to_relays,
    units_of,
)
from tools.devnet.demo.transfer import fetch, random_file
from tools.devnet.demo.watch import ask

FILE_NAME = "premium.bin"
FILE_BYTES = 24 * 2**20
MIB = 2**20
RATE = "12M"
LEAST_UNITS = 4
"""A burst outruns what is paid ahead, and goes at the free weight: so less than all is paid."""
PAYER = "alice"
DEPOSIT_QNET = 200
LIMIT_QNET = 150
SLACK_QNET = 100
"""For bonds of exits; it stays in the channel's account."""
LEAST_TOKENS = 6
TRIES = 10
LOOKS = 30
RESTOCK_S = 3.0
PATIENCE_S = 180.0
POLL_S = 1.0
FEE_PERCENT = 20


@dataclass(slots=True)
class Premium:
    """What the wallet did.

    Attributes:
        clock: calendar of issuance epochs.
        account: owner of the channel, 20 bytes.
        used: units spent by issuance epoch and relay.
        epoch: issuance epoch of the paid transfer.
        serial: paid transfers so far.
        start_block: first block that can hold a payout.
    """

    clock: IssuanceClock
    account: bytes
    used: dict[int, Counter[int]] = field(default_factory=dict)
    epoch: int = 0
    serial: int = 0
    start_block: int = 0


async def stock_up(demo: Demo) -> Premium:
    """Open a channel, buy credits in the open, and have them swapped for tokens over circuits."""
    journal = demo.journal
    with journal.step("premium wallet"):
        # not `qnet pay status`: it fails while the first issuance epoch has no keys yet
        status = await ask(demo.config.client_home, "pay.status")
        if status is None:
            raise CheckFailedError("the client does not tell of its wallet")
        account = str(status["account"])
        payer = demo.state.account(PAYER).keystore
        passphrase = ("--passphrase-file", demo.config.passphrase_file, "--yes")
        await pay(demo, "topup", DEPOSIT_QNET, "--keystore", payer, *passphrase)
        slack = ("--tokens", SLACK_QNET, "--home", demo.config.home)
        await asyncio.to_thread(demo.qnet, "devnet", "faucet", account, *slack)
        await pay(demo, "limit", LIMIT_QNET)
        await pay(demo, "auto", "on")
        async with demo.contracts() as contracts:
            clock = IssuanceClock(await contracts.epochs.clock(), await contracts.channels.terms())
            owner = bytes.fromhex(account.removeprefix("0x"))
            state = await contracts.channels.channel_of(owner)
            journal.require(
                state.is_open and state.deposit_wei == DEPOSIT_QNET * 10**18,
                f"{PAYER}'s tokens are in a channel of an account of its own",
                f"{format_qnet(state.deposit_wei)} QNET",
            )
            block = await contracts.client.block("latest")
        began = time.monotonic()
        stock = await _await_tokens(demo)
        journal.verified(
            "credits bought and swapped for tokens, each over a circuit of its own",
            f"{stock['tokens']} tokens for {stock['relays']} relays "
            f"after {time.monotonic() - began:.0f} s",
        )
        return Premium(clock, owner, start_block=block.number)


async def show_paid_transfer(demo: Demo, site: Site, premium: Premium) -> None:
    """Fetch a file over a circuit that is paid at every hop."""
    journal = demo.journal
    with journal.step("paid transfer"):
        target = demo.work / "premium.bin"
        digest = await asyncio.to_thread(random_file, demo.config.site / FILE_NAME, FILE_BYTES)
        for turn in range(TRIES):
            label = f"premium-{premium.serial}-{turn}"
            await _await_paid_circuit(demo, site, label)
            before = {row["number"]: row for row in await _circuits(demo)}
            premium.epoch = premium.clock.epoch_at(time.time())
            url = site.url(FILE_NAME)
            got = await asyncio.to_thread(
                fetch, url, demo.socks, target, label=label, options=("--limit-rate", RATE)
            )
            if got.sha256 != digest:
                raise CheckFailedError("the file that came is another one")
            units = await _units_since(demo, before)
            if len(units) == HOPS and min(units.values()) >= LEAST_UNITS:
                break
            await asyncio.sleep(RESTOCK_S)
        else:
            raise CheckFailedError("no transfer was paid at every hop", why=f"the last: {units}")
        premium.serial += 1
        journal.verified("SHA-256 of the file equals the served one", digest[:16])
        journal.verified(
            f"each hop of the circuit that carried {FILE_BYTES // MIB} MiB was paid on the way",
            ", ".join(f"node {index}: {count} units" for index, count in units.items()),
        )


async def follow_spending(premium: Premium, demo: Demo) -> None:
    """Note, once it is settled and before rests come back, what each epoch's tokens paid."""
    terms = premium.clock.terms
    while True:
        now = time.time()
        for epoch in premium.clock.kept(now):
            elapsed = premium.clock.elapsed(epoch, now)
            if terms.spend_s < elapsed < terms.token_s and epoch not in premium.used:
                rows = await ask(demo.config.client_home, "pay.tokens")
                if rows is not None:
                    premium.used[epoch] = units_in(rows, epoch)
        await asyncio.sleep(POLL_S)


async def show_payouts(demo: Demo, premium: Premium) -> None:
    """Wait until the epoch of the transfer is attested and claimed; compare all three books."""
    journal, epoch = demo.journal, premium.epoch
    with journal.step("payouts"):
        async with demo.contracts() as contracts:
            paid = await _await_payouts(contracts, premium)
            used = premium.used[epoch]
            units = units_of(paid)
            journal.require(
                is_what_was_spent(units, used),
                "the chain paid every relay the units that the wallet spent there",
                ", ".join(f"node {relay}: {units[relay]} of {used[relay]}" for relay in units),
                why=f"epoch {epoch}: paid {paid}, spent {dict(used)}",
            )
            unit_wei = premium.clock.terms.unit_wei
            keep = unit_wei * (100 - FEE_PERCENT) // 100
            journal.require(
                all(wei == units * keep for units, wei in paid.values()),
                f"each was paid {100 - FEE_PERCENT} % of their value; the rest is burned",
                f"{format_qnet(sum(wei for _, wei in paid.values()))} QNET",
            )
            state = await contracts.channels.issuance_of(epoch)
            journal.require(
                state is not None
                and state.attested + state.redeemed <= min(state.issued, state.cap),
                "no more was paid out than was issued",
                "" if state is None else f"{state.attested} of {state.issued} units",
            )
        for node in demo.state.nodes:
            if node.index in used:
                rows = (
                    await asyncio.to_thread(demo.qnet, "node", "earnings", "--home", node.home)
                )[0]
                told = {row["epoch"]: row for row in rows}
                if told[epoch]["units"] != units.get(node.index, 0):
                    raise CheckFailedError(f"{node.name} counted {told[epoch]['units']} units")
        journal.verified("each relay's own books say the same", f"{len(used)} relays")


async def pay(demo: Demo, *words: object) -> Any:
    """Run `qnet pay` for the client."""
    home = ("--home", demo.config.client_home)
    return (await asyncio.to_thread(demo.qnet, "pay", *words, *home))[-1]


async def _await_tokens(demo: Demo) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        stock = await ask(demo.config.client_home, "pay.status")
        if stock is not None and stock["tokens"] >= LEAST_TOKENS:
            return stock
        await asyncio.sleep(POLL_S)
    raise CheckFailedError(
        f"no {LEAST_TOKENS} tokens after {PATIENCE_S:.0f} s",
        why="" if stock is None else stock["problem"],
    )


async def _await_paid_circuit(demo: Demo, site: Site, label: str) -> None:
    """Use a circuit of its own, until all three hops give it premium weight."""
    small, hops = demo.work / "premium.txt", []
    for _ in range(LOOKS):
        before = {row["number"]: row["bytes_received"] for row in await _circuits(demo)}
        await asyncio.to_thread(fetch, site.url(SMALL_NAME), demo.socks, small, label=label)
        for row in await _circuits(demo):
            hops = row["payments"]
            is_used = row["bytes_received"] > before.get(row["number"], 0)
            if is_used and len(hops) == HOPS and all(hop["premium"] for hop in hops):
                return
        await asyncio.sleep(POLL_S)
    raise CheckFailedError("no circuit is paid at every hop", why=str(hops))


async def _units_since(demo: Demo, before: dict[int, Any]) -> dict[int, int]:
    """Units by node that the circuit which carried the file paid since it was looked at."""
    for row in await _circuits(demo):
        then = before.get(row["number"], {"bytes_received": 0, "payments": []})
        if row["bytes_received"] - then["bytes_received"] >= FILE_BYTES:
            hops = zip_longest(row["path"], row["payments"], then["payments"])
            return {
                index: now["units"] - (was["units"] if was else 0)
                for index, now, was in hops
                if now is not None
            }
    return {}


async def _circuits(demo: Demo) -> list[Any]:
    return await ask(demo.config.client_home, "circuits") or []


def units_in(rows: list[dict[str, Any]], epoch: int) -> Counter[int]:
    """Units that tokens of an issuance epoch paid, by relay, from what `pay tokens` lists."""
    found: Counter[int] = Counter()
    for row in rows:
        if row["kind"] == "token" and row["epoch"] == epoch and row["units"] < TOKEN_UNITS:
            found[row["relay"]] += TOKEN_UNITS - row["units"]
    return found


async def _await_payouts(contracts: Contracts, premium: Premium) -> dict[int, tuple[int, int]]:
    """Units and wei paid to each relay for the epoch of the transfer."""
    deadline, paid = time.monotonic() + PATIENCE_S, dict[int, tuple[int, int]]()
    while time.monotonic() < deadline:
        paid = await paid_to_relays(contracts, premium.start_block, epoch=premium.epoch)
        used = premium.used.get(premium.epoch)
        units = units_of(paid)
        is_paid = await is_paid_out(contracts, premium.epoch, units)
        if is_paid and used is not None and is_what_was_spent(units, used):
            return paid
        await asyncio.sleep(POLL_S)
    raise CheckFailedError("not every relay was paid", why=f"used {premium.used}, paid {paid}")
