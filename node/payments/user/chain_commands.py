"""The commands of `qnet pay` that send transactions, and those that do without a client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.config import ClientConfig
from node.errors import NodeOffError
from node.payments.user.desk import COMMANDS
from node.payments.user.exits import OVER, Row, WayOut, close_channel, rows_to_json
from node.payments.user.funding import Funding
from node.payments.user.opening import Premises
from node.payments.user.report import amount
from node.payments.user.routes import DirectRoute
from node.payments.user.wallet import Wallet
from node.payments.user.words import in_words
from qnet.address import checksum_address, parse_address
from qnet.cli.output import confirm, emit, say
from qnet.config import load_toml
from qnet.units import format_qnet
from qnet.wallet.passphrase import PassphraseSource
from qnet.wallet.signer import open_signer

if TYPE_CHECKING:
    from qnet.chain.contracts import Contracts
    from qnet.chain.sender import Sender

NEEDS_CLIENT = frozenset({"recover"})
"""What goes over circuits has to wait for a client."""


def premises_of(home: Path) -> Premises:
    """The home of a client.

    Raises:
        ConfigError: its client.toml is missing or cannot be used.
    """
    return Premises(home, load_toml(home / "client.toml", ClientConfig))


def ask_offline(home: Path, command: str, arguments: Mapping[str, Any], off: NodeOffError) -> Any:
    """Open the wallet in this process for one command.

    Raises:
        NodeOffError: the command needs a running client.
        QnetError: the wallet cannot be opened, or the command failed.
    """
    if command in NEEDS_CLIENT:
        raise NodeOffError(off.message, why=off.why, try_=("qnet client up",)) from off
    premises = premises_of(home)

    async def inside() -> Any:
        async with DirectRoute() as direct:
            wallet = premises.open(direct, None)
            try:
                if command == "exit":
                    return await _way_out(premises, wallet, str(arguments["to"]))
                return await COMMANDS[command](wallet, arguments)
            finally:
                wallet.store.close()

    return asyncio.run(inside())


async def _way_out(premises: Premises, wallet: Wallet, to: str) -> list[dict[str, Any]]:
    async with premises.chain.contracts() as contracts:
        sender = _sender_of(contracts, premises)
        way_out = WayOut(wallet, contracts, sender, parse_address(to))
        rows = [row async for row in way_out.instruments()]
        rows += [row async for row in way_out.disputes()]
    return rows_to_json(rows)


def top_up(home: Path, amount_wei: int, keystore: Path, passphrase: PassphraseSource) -> None:
    """Deposit into the channel, or end a deposit that was interrupted."""
    premises = premises_of(home)
    signer = open_signer(keystore, passphrase.read(what=f"passphrase of {keystore}"))

    async def inside() -> None:
        from qnet.chain.sender import Sender

        async with premises.chain.contracts() as contracts:
            user = Sender(contracts.client, signer)
            channel = _sender_of(contracts, premises)
            funding = Funding(contracts, user, channel, premises.folder)
            meant = await funding.begin(amount_wei)
            steps = await funding.missing(meant)
            preview = [
                f"deposit {format_qnet(amount_wei)} QNET for premium traffic",
                f"from    {checksum_address(user.address)}",
                f"into    the channel of {checksum_address(channel.address)}",
                *(f"send    {step.words}" for step in steps),
                "seen    by everybody: that you buy, and how much; not what for",
            ]
            if not confirm(preview):
                return
            await funding.carry_out(meant, say)
            state = await contracts.channels.channel_of(channel.address)
            found = {
                "account": checksum_address(channel.address),
                "added": amount(amount_wei),
                "deposit": amount(state.deposit_wei),
                "left": amount(state.deposit_wei - state.collected_wei),
            }
            emit("qnet.pay.topup/1", found, text=in_words(found))

    asyncio.run(inside())


def close_and_exit(home: Path, to: str, exits: Callable[[str], Any] | None) -> None:
    """Close the channel, exit instruments if asked to, and pay out to another address if named.

    Args:
        home: of the client.
        to: address that is paid; "" for the channel's account.
        exits: asks the wallet, wherever it is open, to exit to an address.
    """
    premises = premises_of(home)
    account = premises.seed().channel.address
    paid = parse_address(to) if to else account
    preview = ["close  the channel; nothing can be bought with it any more"]
    if exits is not None:
        preview.append("exit   credits and tokens on chain, with a bond for each that comes back")
    preview += [f"pay    {checksum_address(paid)}", "seen   by everybody"]
    if not confirm(preview):
        return

    async def close() -> Row:
        async with premises.chain.contracts() as contracts:
            terms = await contracts.channels.terms()
            return await close_channel(contracts, _sender_of(contracts, premises), terms.closing_s)

    async def pay_out() -> None:
        async with premises.chain.contracts() as contracts:
            sender = _sender_of(contracts, premises)
            held_wei = await contracts.token.balance_of(sender.address)
            if held_wei:
                await sender.send(contracts.token.transfer(paid, held_wei))
                say(f"paid {format_qnet(held_wei)} QNET to {checksum_address(paid)}")

    closed = asyncio.run(close())  # first: what it held serves as bonds
    rows = exits("0x" + paid.hex()) if exits is not None else []
    if paid != account and closed.state == "paid" and all(row["state"] in OVER for row in rows):
        asyncio.run(pay_out())
    rows += rows_to_json([closed])
    emit("qnet.pay.refund/1", rows, rows=rows)
    states = {row["state"] for row in rows}
    if states & {"waits", "later"}:
        say("run the same command again after the time shown to end what waits")
    if "bond" in states:
        say("a bond of each exit comes back with it: send QNET to the channel's account for more,")
        say("or run the same command again when exits that wait have ended")


def _sender_of(contracts: Contracts, premises: Premises) -> Sender:
    """The channel's account."""
    from qnet.chain.sender import KeySigner, Sender

    return Sender(contracts.client, KeySigner(premises.seed().channel))
