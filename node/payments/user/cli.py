"""`qnet pay`: the premium wallet of a client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from node.client.command.ask import client_home
from node.payments.user.words import in_words
from qnet.cli.output import confirm, emit, say, warn
from qnet.cli.settings import settings
from qnet.units import parse_qnet
from qnet.wallet.options import light_option, passphrase_options
from qnet.wallet.passphrase import PassphraseSource

_FILE = click.Path(path_type=Path)
_FAILED = 1
LONG_S = 900.0
"""Recoveries and exits take many requests, each after the other."""


@click.group()
def pay() -> None:
    """Pay for premium traffic without being known by it."""


@pay.command()
@click.option("--restore", type=_FILE, help="File with the backup of an earlier wallet's seed.")
@click.option("--member", "members", multiple=True, help="Base URL of a committee member; all.")
@click.option("--deployment", type=_FILE, help="Contract manifest.")
@click.option("--rpc", default="", help="JSON-RPC of a chain node.")
@light_option
@passphrase_options()
def init(
    restore: Path | None,
    members: tuple[str, ...],
    deployment: Path | None,
    rpc: str,
    *,
    light: bool,
    passphrase: PassphraseSource,
) -> None:
    """Make the wallet: its seed, encrypted, and an empty store; shows the backup once."""
    from node.payments.user.setting_up import configure_payments, make_wallet

    home = client_home()
    configure_payments(home, members, deployment, passphrase.file, rpc)
    made = make_wallet(home, restore, passphrase, is_light=light)
    if made is None:
        return
    emit("qnet.pay.init/1", made)
    if made["backup"]:
        say("write the backup down on paper: whoever has it has the money, and without it a lost")
        say("disk is lost money; it is not shown again")
    else:
        say("now: qnet client up, then qnet pay recover")


@pay.command()
def status() -> int:
    """Show stock, channel, limit and crowd; exit 1 when something is wrong."""
    found = _ask("status")
    emit("qnet.pay.status/1", found, text=in_words(found))
    if found["warning"]:
        warn(found["warning"])
    if found["problem"]:
        warn(found["problem"])
    return _FAILED if found["problem"] else 0


@pay.command()
def quote() -> None:
    """Show what a unit and a credit cost, and how many use premium payments now."""
    found = _ask("quote")
    emit("qnet.pay.quote/1", found, text=in_words(found))
    if found["warning"]:
        warn(found["warning"])


@pay.command()
@click.argument("amount")
@click.option(
    "--keystore", envvar="QNET_ACCOUNT", type=_FILE, required=True, help="Account that pays."
)
@passphrase_options()
def topup(amount: str, keystore: Path, passphrase: PassphraseSource) -> None:
    """Deposit AMOUNT QNET of an account into the channel; goes on after an interruption."""
    from node.payments.user.chain_commands import top_up

    top_up(client_home(), parse_qnet(amount), keystore, passphrase)


@pay.command()
@click.argument("credits_", metavar="CREDITS", type=click.IntRange(1, 64))
def buy(credits_: int) -> int:
    """Buy CREDITS of 64 units; this is public, what they are used for is not."""
    price = _ask("quote")
    each = price["credit"]["amount"]
    preview = [f"buy    {credits_} credits of 64 units at {each} QNET each", "undo   impossible"]
    if not confirm(preview):
        return 0
    found = _ask("buy", credits=credits_)
    emit("qnet.pay.buy/1", found, text=in_words(found))
    if not found["done"]:
        warn(f"stored, and asked for again while the client runs: {found['why']}")
    return 0 if found["done"] else _FAILED


@pay.command()
@click.argument("switch", type=click.Choice(["on", "off"]))
def auto(switch: str) -> None:
    """Buy credits when few are left, or stop that."""
    found = _ask("auto", on=switch == "on")
    emit("qnet.pay.auto/1", found, text=in_words(found))


@pay.command()
@click.argument("amount", required=False)
def limit(amount: str | None) -> None:
    """Set how many QNET a day (UTC) may be spent on credits; without AMOUNT, show it."""
    wei = None if amount is None else str(parse_qnet(amount))
    found = _ask("limit", wei=wei)
    emit("qnet.pay.limit/1", found, text=in_words(found))


@pay.command()
@click.option("--delete", is_flag=True, help="Delete them after showing them.")
def receipts(*, delete: bool) -> None:
    """Show the purchases; they are kept on this machine alone."""
    if delete and not confirm(["delete all receipts of purchases", "undo   impossible"]):
        return
    rows = _ask("receipts", delete=delete)
    shown = [{**row, "price": f"{row['price']['amount']} QNET"} for row in rows]
    emit("qnet.pay.receipts/1", rows, rows=shown)


@pay.command()
def tokens() -> None:
    """List credits and tokens."""
    rows = _ask("tokens")
    emit("qnet.pay.tokens/1", rows, rows=rows)


@pay.command()
def recover() -> None:
    """Bring the wallet back from its seed; needs a running client."""
    preview = [
        "read   the channel's purchases, and what became of each credit, over a circuit each",
        "keep   a damaged file under another name",
    ]
    if not confirm(preview):
        return
    found = _ask("recover", timeout_s=LONG_S)
    emit("qnet.pay.recover/1", found, rows=found["found"])
    say(f"{found['purchases']} purchases and {found['swaps']} swaps were found")
    if found["strangers"]:
        warn(f"{found['strangers']} requests are not explained by this seed")


@pay.command()
@click.option("--exit", "with_exit", is_flag=True, help="Exit credits and tokens on chain, too.")
@click.option("--to", default="", help="Address that is paid [the channel's account].")
def refund(to: str, *, with_exit: bool) -> None:
    """Close the channel and take out what is left; run it again to end what has to wait."""
    from node.payments.user.chain_commands import close_and_exit

    def exits(paid: str) -> Any:
        return _ask("exit", timeout_s=LONG_S, to=paid)

    close_and_exit(client_home(), to, exits if with_exit else None)


def _ask(command: str, timeout_s: float = 0.0, **arguments: Any) -> Any:
    """The running client's answer, or the wallet's own when no client runs."""
    from node.errors import NodeOffError
    from node.io.control import call_blocking
    from node.payments.user.chain_commands import ask_offline

    home = client_home()
    within_s = max(timeout_s, settings().timeout)
    try:
        return call_blocking(
            home / "control.sock", f"pay.{command}", timeout_s=within_s, **arguments
        )
    except NodeOffError as error:
        return ask_offline(home, command, arguments, error)
