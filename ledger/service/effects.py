"""What a transaction of the outbox is for, and whether the chain shows that already."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from ledger.storage.results import OutboxRow
from qnet.chain.abi import SELECTOR_BYTES
from qnet.chain.contract import Contract
from qnet.chain.contracts import Contracts
from qnet.chain.disputes import ChallengeState, SlashState
from qnet.chain.redeemer import Stage
from qnet.chain.reporting import ReportStatus

LIVE: Final = frozenset({ReportStatus.SUBMITTED, ReportStatus.FINAL})
CHALLENGES_SEEN: Final = 256
"""How many of the newest challenges are searched for one of ours."""
_WORD: Final = 32
_OF_A_REPORT: Final = frozenset({"report", "finalize", "answer"})

Effect: TypeAlias = Callable[[Contracts, OutboxRow], Awaitable[bool]]


def call_word(row: OutboxRow, place: int) -> bytes:
    """One 32-byte word of a row's call data, counted after the selector."""
    start = SELECTOR_BYTES + place * _WORD
    return row.call[start : start + _WORD]


async def is_outdated(contracts: Contracts, row: OutboxRow) -> bool:
    """Whether a row is about a report that was disabled."""
    if row.kind not in _OF_A_REPORT:
        return False
    return await contracts.oracle.attempt_of(row.period) > row.attempt


async def has_effect(contracts: Contracts, row: OutboxRow) -> bool:
    """Whether the chain shows the effect of a row, whoever brought it about."""
    return await _EFFECTS[row.kind](contracts, row)


async def find_challenge(contracts: Contracts, commitment: bytes) -> int | None:
    """Number of the challenge that was opened with a commitment."""
    newest = await contracts.court.count()
    for number in range(newest, max(newest - CHALLENGES_SEEN, 0), -1):
        if (await contracts.court.challenge(number)).commitment == commitment:
            return number
    return None


async def _anchored(contracts: Contracts, row: OutboxRow) -> bool:
    return any(await contracts.committee.anchor_of(row.period))


async def _started(contracts: Contracts, row: OutboxRow) -> bool:
    return await contracts.epochs.next_epoch() > row.period


async def _skipped(contracts: Contracts, row: OutboxRow) -> bool:
    return (await contracts.epochs.info(row.period)).skipped


async def _reported(contracts: Contracts, row: OutboxRow) -> bool:
    return (await contracts.oracle.report(row.period)).status in LIVE


async def _final(contracts: Contracts, row: OutboxRow) -> bool:
    return (await contracts.oracle.report(row.period)).status is ReportStatus.FINAL


async def _answered(contracts: Contracts, row: OutboxRow) -> bool:
    return (await contracts.oracle.demand_of(row.period, row.subject)).deadline_s == 0


async def _approved(contracts: Contracts, row: OutboxRow) -> bool:
    """Never taken for done: what is approved now may be spent by the next challenge."""
    del contracts, row
    return False


async def _opened(contracts: Contracts, row: OutboxRow) -> bool:
    return await find_challenge(contracts, call_word(row, 0)) is not None


async def _proven(contracts: Contracts, row: OutboxRow) -> bool:
    number = int.from_bytes(call_word(row, 0), "big")
    return (await contracts.court.challenge(number)).state is ChallengeState.PROVEN


async def _executed(contracts: Contracts, row: OutboxRow) -> bool:
    return (await contracts.slasher.slash(row.subject)).state is SlashState.EXECUTED


async def _keys_registered(contracts: Contracts, row: OutboxRow) -> bool:
    return await contracts.channels.issuance_of(row.period) is not None


async def _epoch_closed(contracts: Contracts, row: OutboxRow) -> bool:
    state = await contracts.channels.issuance_of(row.period)
    return state is not None and state.is_closed


async def _attested(contracts: Contracts, row: OutboxRow) -> bool:
    state = await contracts.channels.issuance_of(row.period)
    return state is not None and state.is_attested


async def _collected(contracts: Contracts, row: OutboxRow) -> bool:
    for channel, cumulative, *_ in _argument(contracts.channels, row, "vouchers"):
        if (await contracts.channels.channel_of(channel)).collected_wei < cumulative:
            return False
    return True


async def _relays_paid(contracts: Contracts, row: OutboxRow) -> bool:
    for relay, _, cum_units, *_ in _argument(contracts.channels, row, "claims"):
        if await contracts.channels.paid_units_of(relay) < cum_units:
            return False
    return True


async def _leaf_shown(contracts: Contracts, row: OutboxRow) -> bool:
    _, deadline_s = await contracts.channels.demand_of(row.period, row.subject)
    return deadline_s == 0


async def _exit_refuted(contracts: Contracts, row: OutboxRow) -> bool:
    return (await contracts.redeemer.exit_of(call_word(row, 0))).stage is not Stage.OPEN


async def _delivered(contracts: Contracts, row: OutboxRow) -> bool:
    return (await contracts.redeemer.dispute_of(call_word(row, 0))).stage is not Stage.OPEN


def _argument(contract: Contract, row: OutboxRow, name: str) -> Any:
    """One argument of a row's call."""
    entry = contract.abi.function_by_selector(row.call[:SELECTOR_BYTES])
    assert entry is not None
    return entry.decode_arguments(row.call[SELECTOR_BYTES:])[name]


_EFFECTS: Final[Mapping[str, Effect]] = {
    "anchor": _anchored,
    "start": _started,
    "skip": _skipped,
    "report": _reported,
    "finalize": _final,
    "answer": _answered,
    "approve": _approved,
    "open": _opened,
    "prove": _proven,
    "execute": _executed,
    "collect": _collected,
    "close": _epoch_closed,
    "attest": _attested,
    "claim": _relays_paid,
    "showleaf": _leaf_shown,
    "refute": _exit_refuted,
    "deliver": _delivered,
    "keys": _keys_registered,
}
