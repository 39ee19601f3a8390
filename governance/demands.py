"""`qnet court demand`, `answer` and `expire-demand`: leaves that somebody wants to see."""

import click

from governance.errors import ChallengeStateError
from governance.session import (
    Session,
    account_options,
    allow,
    amount,
    chain_options,
    require_tokens,
    run,
    send,
    stamp,
)
from governance.settlement import fetch_leaf
from qnet.address import checksum_address
from qnet.units import format_qnet


@click.command()
@click.argument("epoch", type=click.IntRange(0))
@click.argument("node", type=click.IntRange(1))
@chain_options
@account_options
def demand(session: Session, epoch: int, node: int) -> None:
    """Demand to see the leaf of NODE in the report of EPOCH; the bond goes to who shows it."""

    async def work() -> None:
        contracts = session.contracts
        parameters = await contracts.parameters.all()
        bond_wei = parameters.challenge_bond_wei
        await require_tokens(session, bond_wei)
        preview = [
            f"demand the leaf of node {node} in the report of epoch {epoch}",
            (
                f"put down {format_qnet(bond_wei)} QNET: they go to whoever shows it within"
                f" {parameters.demand_answer_s} s"
            ),
            "if nobody does, the report is disabled and they come back",
        ]
        if not await allow(session, contracts.oracle.address, bond_wei, "the oracle"):
            return
        extra = {"epoch": epoch, "node": node, "bond": amount(bond_wei)}
        call = contracts.oracle.demand_leaf(epoch, node)
        await send(session, "qnet.court.demand/1", call, preview, extra)

    run(session, work)


@click.command()
@click.argument("epoch", type=click.IntRange(0))
@click.argument("node", type=click.IntRange(1))
@chain_options
@account_options
def answer(session: Session, epoch: int, node: int) -> None:
    """Show the leaf of NODE in the report of EPOCH that somebody demanded, and take the bond."""

    async def work() -> None:
        contracts = session.contracts
        demanded = await contracts.oracle.demand_of(epoch, node)
        if not any(demanded.demander):
            raise ChallengeStateError(f"nobody demands the leaf of node {node} in epoch {epoch}")
        found = await fetch_leaf(contracts, epoch, node)
        preview = [
            f"show the leaf of node {node} in the report of epoch {epoch} (checked here)",
            f"{format_qnet(demanded.bond_wei)} QNET go to {checksum_address(session.account)}",
        ]
        extra = {"epoch": epoch, "node": node, "bond": amount(demanded.bond_wei)}
        call = contracts.oracle.answer_leaf(found.leaf, found.proof)
        await send(session, "qnet.court.answer/1", call, preview, extra)

    run(session, work)


@click.command("expire-demand")
@click.argument("epoch", type=click.IntRange(0))
@click.argument("node", type=click.IntRange(1))
@chain_options
@account_options
def expire_demand(session: Session, epoch: int, node: int) -> None:
    """Disable the report of EPOCH whose leaf of NODE was not shown in time. Anybody may."""

    async def work() -> None:
        contracts = session.contracts
        demanded = await contracts.oracle.demand_of(epoch, node)
        preview = [
            (
                f"the leaf of node {node} in the report of epoch {epoch} was not shown until"
                f" {stamp(demanded.deadline_s)}"
            ),
            "the report and all that follow it are disabled and can be reported anew",
            (
                f"its bond of {format_qnet(demanded.bond_wei)} QNET returns to"
                f" {checksum_address(demanded.demander)}"
            ),
        ]
        extra = {"epoch": epoch, "node": node}
        call = contracts.oracle.expire_demand(epoch, node)
        await send(session, "qnet.court.expire-demand/1", call, preview, extra)

    run(session, work)
