"""What a wallet tells its owner."""

from typing import Any, Final

from node.payments.user.states import RequestKind, RequestState, State
from node.payments.user.stock import Holdings
from node.payments.user.wallet import Wallet
from qnet.errors import QnetError
from qnet.messages.instruments import TOKEN_UNITS
from qnet.units import format_qnet

CROWD_SMALL: Final = 50
"""Below so many buyers, or swaps, of an epoch a warning is shown."""


def amount(wei: int) -> dict[str, str]:
    """An amount in a JSON result."""
    return {"amount": format_qnet(wei), "unit": "QNET"}


def crowd_warning(buyers: int, swaps: int, told: int) -> str:
    """What to say about the crowd; empty if it is large."""
    if not told:
        return "no committee member tells how many use premium payments"
    if min(buyers, swaps) >= CROWD_SMALL:
        return ""
    return (
        f"the crowd is small: {buyers} buyers and {swaps} swaps in this epoch; "
        "who watches the times may guess which tokens are yours"
    )


async def describe(wallet: Wallet) -> dict[str, Any]:
    """What `qnet pay status` shows; what the chain or members do not tell is null."""
    stock = wallet.store.instruments()
    holdings = Holdings.of(stock)
    under_way = wallet.store.requests(RequestState.OPEN)
    facts: dict[str, Any] = {
        "account": "0x" + wallet.account.hex(),
        "auto": wallet.is_auto,
        "limit": None if wallet.limit_wei is None else amount(wallet.limit_wei),
        "spent_today": amount(wallet.maker.spent_wei(wallet.around.wall())),
        "credits_units": holdings.credits,
        "tokens": sum(holdings.tokens.values()),
        "relays": len(holdings.tokens),
        "refundable_units": holdings.refundable,
        "stuck_units": holdings.stuck,
        "spending": sum(entry.state is State.SPENDING for entry in stock),
        "under_way": len(under_way),
        "buying": sum(request.kind is RequestKind.BUY for request in under_way),
        "leaving": wallet.is_leaving,
        "problem": _problem(wallet),
        "liars": sorted(wallet.issuers.liars),
    }
    return {**facts, **await _channel(wallet), **await _crowd(wallet)}


def _problem(wallet: Wallet) -> str:
    """Why the last request of the running epoch was refused; what is older is over."""
    failed = wallet.store.requests(RequestState.FAILED)
    if not failed or wallet.clock is None or wallet.is_leaving:
        return ""
    running = wallet.clock.epoch_at(wallet.around.wall())
    return failed[-1].why if failed[-1].epoch == running else ""


async def quote(wallet: Wallet) -> dict[str, Any]:
    """What premium traffic costs."""
    terms = (await wallet.terms()).terms
    return {
        "unit": amount(terms.unit_wei),
        "credit": amount(TOKEN_UNITS * terms.unit_wei),
        "may_buy": await wallet.allowance(),
        **await _crowd(wallet),
    }


def token_rows(wallet: Wallet) -> list[dict[str, Any]]:
    """Credits and tokens that are worth something, one row for each."""
    shown = (
        *(State.REQUESTED, State.HELD, State.SPENDING, State.SPENT, State.UNSURE),
        *(State.SWAPPING, State.STUCK, State.EXITING),
    )
    return [
        {
            "epoch": entry.slot.epoch,
            "kind": "token" if entry.is_token else "credit",
            "relay": entry.relay or None,
            "state": entry.state.value,
            "units": entry.units,
        }
        for entry in wallet.store.instruments(*shown)
    ]


async def _channel(wallet: Wallet) -> dict[str, Any]:
    try:
        state = await wallet.around.chain.channel(wallet.account)
    except QnetError as error:
        return {"channel": None, "channel_problem": error.message}
    used_wei = max(state.collected_wei, wallet.maker.last_voucher()[1])
    return {
        "channel": {
            "open": state.is_open,
            "closing_since": state.closing_since_s or None,
            "deposit": amount(state.deposit_wei),
            "left": amount(max(0, state.deposit_wei - used_wei)),
        },
        "channel_problem": "",
    }


async def _crowd(wallet: Wallet) -> dict[str, Any]:
    crowd = await wallet.issuers.crowd(wallet.around.direct)
    return {
        "crowd": {"buyers": crowd.buyers, "swaps": crowd.swaps, "told": crowd.told},
        "selling": crowd.is_open,
        "warning": crowd_warning(crowd.buyers, crowd.swaps, crowd.told),
    }
