"""What a relay earned with premium bandwidth, epoch by epoch, to the last unit.

`units = settled + pending`; what is settled was claimed on chain under an attested root, or paid
for tokens that the relay showed to the chain itself. A part of every unit is burned.

Source: docs/spec/payments.md, QN-PAY-053 to 055.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from node.payments.relay.toll_store import EpochRow
from qnet.units import format_qnet

FEE_PPM: Final = 200_000
_PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Earning:
    """One issuance epoch.

    Args:
        row: what is stored.
        claimed: members that have all claims.
        settled: units that the chain paid.
    """

    row: EpochRow
    claimed: int
    settled: int

    @property
    def pending(self) -> int:
        """Units that were paid to us and not yet by the chain."""
        return self.row.units - self.settled


def earnings_of(
    rows: Sequence[EpochRow], claimed: Mapping[int, int], paid_units: int
) -> list[Earning]:
    """What became of each epoch.

    Args:
        rows: as stored, ascending.
        claimed: members that have all claims, by epoch.
        paid_units: attested units that the chain paid us, of all epochs.
    """
    found = []
    for row in rows:
        attested = row.attested_units or 0
        # claims are cumulative: they pay attested epochs in their order
        claims = min(max(paid_units - (row.cum_units - attested), 0), attested)
        settled = min(claims + row.redeemed_units, row.units)
        found.append(Earning(row, claimed.get(row.epoch, 0), settled))
    return found


def earnings_rows(
    earnings: Sequence[Earning], unit_wei: int, problems: Mapping[int, str]
) -> list[dict[str, Any]]:
    """Rows for people and programs; sums of money in QNET."""
    return [
        {
            "epoch": one.row.epoch,
            "tokens": one.row.tokens,
            "units": one.row.units,
            "claimed_members": one.claimed,
            "attested_units": one.row.attested_units,
            "redeemed_units": one.row.redeemed_units,
            "settled_units": one.settled,
            "pending_units": one.pending,
            "gross": format_qnet(one.row.units * unit_wei),
            "fees": format_qnet(one.row.units * fee_wei(unit_wei)),
            "net": format_qnet(one.row.units * net_wei(unit_wei)),
            "settled": format_qnet(one.settled * net_wei(unit_wei)),
            "pending": format_qnet(one.pending * net_wei(unit_wei)),
            "problem": problems.get(one.row.epoch, ""),
        }
        for one in earnings
    ]


def fee_wei(unit_wei: int) -> int:
    """What is burned of a unit."""
    return unit_wei * FEE_PPM // _PPM


def net_wei(unit_wei: int) -> int:
    """What is left of it."""
    return unit_wei - fee_wei(unit_wei)
