"""What a wallet does when its owner asks, the same in a running client and without one.

Arguments come from the control socket: they are checked here, once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from node.errors import ControlError, IssuersSilentError, SpendingLimitError
from node.payments.user.report import amount, describe, quote, token_rows
from node.payments.user.requests import DAY_S
from node.payments.user.wallet import Wallet
from qnet.messages.voucher import BATCH_MAX

Arguments: TypeAlias = Mapping[str, Any]
Command: TypeAlias = Callable[[Wallet, Arguments], Awaitable[Any]]

MAX_WEI: Final = 1 << 96
"""More than there are tokens."""


async def buy(wallet: Wallet, arguments: Arguments) -> dict[str, Any]:
    """Buy credits of 64 units; what is not answered now is asked for again by the client."""
    count = natural(arguments, "credits", BATCH_MAX)
    request = await wallet.order_credits(count)
    wallet.stay()
    try:
        is_done = await wallet.send(request)
    except IssuersSilentError as error:
        return {"credits": count, "price": amount(request.wei), "done": False, "why": error.why}
    return {"credits": count, "price": amount(request.wei), "done": is_done, "why": ""}


async def auto(wallet: Wallet, arguments: Arguments) -> dict[str, Any]:
    """Buy by itself from now on, or not."""
    is_on = arguments.get("on")
    if not isinstance(is_on, bool):
        raise ControlError("control argument on is neither true nor false")
    if is_on and wallet.limit_wei is None:
        raise SpendingLimitError(
            "nothing is bought by itself without a limit", try_=("qnet pay limit 1",)
        )
    if is_on:
        wallet.stay()
    wallet.store.note("auto", b"on" if is_on else b"off")
    return {"auto": is_on, "limit": _limit(wallet)}


async def limit(wallet: Wallet, arguments: Arguments) -> dict[str, Any]:
    """Set what may be spent in a day; without an amount, show it."""
    if arguments.get("wei") is not None:
        wallet.store.note("limit", str(_wei(arguments)).encode())
    spent_wei = wallet.maker.spent_wei(wallet.around.wall())
    return {"limit": _limit(wallet), "spent_today": amount(spent_wei)}


async def receipts(wallet: Wallet, arguments: Arguments) -> list[dict[str, Any]]:
    """Show the purchases, and delete them if asked to."""
    rows = [
        {
            "nonce": row["nonce"],
            "at": row["at"],
            "epoch": row["epoch"],
            "credits": row["credits"],
            "price": amount(row["wei"]),
        }
        for row in wallet.store.receipts()
    ]
    if arguments.get("delete") is True:
        now = wallet.around.wall()
        wallet.store.forget_receipts(now - now % DAY_S)
    return rows


async def tokens(wallet: Wallet, _arguments: Arguments) -> list[dict[str, Any]]:
    """Credits and tokens that are worth something."""
    return token_rows(wallet)


async def status(wallet: Wallet, _arguments: Arguments) -> dict[str, Any]:
    """Everything at a glance."""
    return {**await describe(wallet), "client": "off"}


async def price(wallet: Wallet, _arguments: Arguments) -> dict[str, Any]:
    """What premium traffic costs."""
    return await quote(wallet)


COMMANDS: Final[Mapping[str, Command]] = {
    "status": status,
    "quote": price,
    "buy": buy,
    "auto": auto,
    "limit": limit,
    "receipts": receipts,
    "tokens": tokens,
}


def natural(arguments: Arguments, name: str, maximum: int) -> int:
    """An integer from 1 to a maximum.

    Raises:
        ControlError: it is not one.
    """
    value = arguments.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= maximum:
        raise ControlError(f"control argument {name} is not between 1 and {maximum}")
    return value


def _wei(arguments: Arguments) -> int:
    """Wei in decimal digits: JSON numbers end at 2^53 for many readers."""
    value = arguments.get("wei")
    if not isinstance(value, str) or not value.isdecimal() or len(value) > 30:
        raise ControlError("control argument wei is not a decimal number")
    return min(int(value), MAX_WEI)


def _limit(wallet: Wallet) -> dict[str, str] | None:
    limit_wei = wallet.limit_wei
    return None if limit_wei is None else amount(limit_wei)
