"""`qnet stake`: bonds, delegations, and the rewards they earn."""

import click

from governance import bonds, calculator, delegation, standing, terms


@click.group()
def stake() -> None:
    """Bond and delegate tokens, settle and claim rewards."""


for _command in (
    bonds.bond,
    bonds.unbond,
    delegation.delegate,
    delegation.undelegate,
    delegation.move,
    bonds.withdraw,
    bonds.list_,
    delegation.positions,
    delegation.poke,
    bonds.settle_,
    bonds.claim,
    terms.terms,
    terms.slot,
    standing.refresh,
    standing.unjail,
    standing.retire,
    standing.payout,
    calculator.calc,
):
    stake.add_command(_command)
