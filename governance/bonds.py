"""`qnet stake bond`, `unbond`, `withdraw`, `list`, `settle`, `claim`: an operator's own tokens."""

from typing import Any

import click

from governance.errors import StakeMissingError, TicketLockedError
from governance.nodes import find_node, node_option, own_node, settle
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
from qnet.address import checksum_address
from qnet.chain.hub import Ticket
from qnet.chain.staking import RegisteredNode
from qnet.cli.output import emit, say
from qnet.cli.settings import settings
from qnet.units import PPM, format_qnet, parse_qnet


@click.command()
@click.argument("tokens", metavar="AMOUNT")
@node_option
@chain_options
@account_options
def bond(session: Session, tokens: str, index: int | None) -> None:
    """Bond AMOUNT of QNET to your node."""

    async def work() -> None:
        amount_wei = parse_qnet(tokens)
        node = await own_node(session, index)
        hub = session.contracts.hub
        await require_tokens(session, amount_wei)
        parameters = await session.contracts.parameters.all()
        lost, wait_s = parameters.slash_receipts_ppm * 100 / PPM, parameters.unbond_s
        preview = [
            f"bond {format_qnet(amount_wei)} QNET to node {node.index} ({node.role.name.lower()})",
            f"of {checksum_address(session.account)}; the tokens vote for its delegate",
            f"unbonding takes {wait_s} s after the epoch; equivocation costs {lost:g} %",
        ]
        if not await allow(session, hub.address, amount_wei, "the hub"):
            return
        extra = {"node": node.index, "amount": amount(amount_wei)}
        await send(session, "qnet.stake.bond/1", hub.bond(node.index, amount_wei), preview, extra)

    run(session, work)


@click.command()
@click.argument("tokens", metavar="AMOUNT")
@node_option
@chain_options
@account_options
def unbond(session: Session, tokens: str, index: int | None) -> None:
    """Start to take AMOUNT of QNET back; it waits as a ticket."""

    async def work() -> None:
        amount_wei = parse_qnet(tokens)
        node = await own_node(session, index)
        hub = session.contracts.hub
        held = await hub.bond_of(node.index)
        if held < amount_wei:
            raise StakeMissingError(
                f"node {node.index} has {format_qnet(held)} QNET bonded",
                why=f"{format_qnet(amount_wei)} QNET wanted",
            )
        parameters = await session.contracts.parameters.all()
        left = held - amount_wei
        idle = (
            " (below the minimum: the node stops earning)" if left < parameters.min_bond_wei else ""
        )
        preview = [
            f"unbond {format_qnet(amount_wei)} QNET of node {node.index}",
            f"{format_qnet(left)} QNET stay bonded{idle}",
            f"withdraw from {await unlock_stamp(session)}; until then slashable, without votes",
        ]
        extra = {"node": node.index, "amount": amount(amount_wei)}
        await send(
            session,
            "qnet.stake.unbond/1",
            hub.unbond(node.index, amount_wei),
            preview,
            extra,
            facts=lambda result: ticket_facts(session, result, "Unbonded"),
        )

    run(session, work)


async def unlock_stamp(session: Session) -> str:
    """When a ticket made now can be withdrawn."""
    contracts = session.contracts
    clock = await contracts.epochs.clock()
    now = (await contracts.client.block("latest")).timestamp
    _, end = clock.epoch_bounds(clock.epoch_at(max(now, clock.genesis_s)))
    return stamp(end + await contracts.parameters.get("unbond_s"))


def ticket_facts(session: Session, result: Any, event: str) -> dict[str, Any]:
    """Number and time of the ticket that a call made."""
    made = session.contracts.hub.only_event(result, event).arguments
    return {"ticket": made["ticket"], "unlocks": stamp(made["unlocksAt"])}


@click.command()
@click.argument("ticket", type=click.IntRange(0), required=False)
@chain_options
@account_options
def withdraw(session: Session, ticket: int | None) -> None:
    """Take the tokens of a ripe TICKET; of all ripe ones if left out."""

    async def work() -> None:
        contracts, hub = session.contracts, session.contracts.hub
        now = (await contracts.client.block("latest")).timestamp
        waiting = await hub.tickets_of(session.account)
        chosen = [item for item in waiting if ticket is None or item.number == ticket]
        if not chosen:
            raise StakeMissingError(
                "there is no such ticket" if ticket is not None else "there are no tickets",
                try_=("qnet stake list",),
            )
        frozen = {item.index for item in chosen if await hub.freezes_of(item.index)}
        ripe = [item for item in chosen if item.unlocks_at_s <= now and item.index not in frozen]
        if not ripe:
            raise _locked(chosen, now)
        for item in ripe:
            preview = [
                f"withdraw {format_qnet(item.amount_wei)} QNET (ticket {item.number})",
                f"to {checksum_address(session.account)}",
            ]
            extra = {"ticket": item.number, "amount": amount(item.amount_wei)}
            call = hub.withdraw(item.number)
            await send(session, "qnet.stake.withdraw/1", call, preview, extra)

    run(session, work)


def _locked(tickets: list[Ticket], now: int) -> TicketLockedError:
    """Say why none of the tickets can be withdrawn."""
    first = min(tickets, key=lambda item: item.unlocks_at_s)
    if first.unlocks_at_s <= now:
        return TicketLockedError(
            f"ticket {first.number} is frozen",
            why=f"a slash of node {first.index} is in escrow",
            try_=("qnet court status",),
        )
    return TicketLockedError(
        f"the ticket unlocks in {first.unlocks_at_s - now} s",
        why="staked tokens stay slashable for a while",
        try_=("qnet stake list",),
    )


@click.command("list")
@click.option("--all", "everyone", is_flag=True, help="Nodes of all operators.")
@chain_options
@account_options
def list_(session: Session, everyone: bool) -> None:  # noqa: FBT001 - click's signature
    """List nodes with stake and money, and your waiting tickets."""

    async def work() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        owner = None if everyone else session.account
        nodes = [n for n in await session.contracts.registry.nodes() if owner in {None, n.owner}]
        tickets = [] if owner is None else await session.contracts.hub.tickets_of(owner)
        shown = [
            {
                "ticket": item.number,
                "node": item.index,
                "from": "bond" if item.from_bond else "pool",
                "amount": format_qnet(item.amount_wei),
                "unlocks": stamp(item.unlocks_at_s),
            }
            for item in tickets
        ]
        return [await _node_row(session, node) for node in nodes], shown

    rows, tickets = run(session, work)
    emit("qnet.stake.list/2", {"nodes": rows, "tickets": tickets}, rows=rows)
    for item in tickets:
        say(
            f"ticket {item['ticket']}: {item['amount']} QNET from the {item['from']} of node"
            f" {item['node']} unlock at {item['unlocks']}"
        )


async def _node_row(session: Session, node: RegisteredNode) -> dict[str, Any]:
    hub = session.contracts.hub
    operator, pool = await hub.settled_cumulative(node.index)
    owed = await hub.owed(node.index)
    return {
        "node": node.index,
        "role": node.role.name.lower(),
        "state": node.state.name.lower(),
        "slot": "yes" if node.has_slot else "no",
        "owner": checksum_address(node.owner),
        "bond": format_qnet(await hub.bond_of(node.index)),
        "pool": format_qnet(await hub.pool_of(node.index)),
        "settled": format_qnet(operator + pool),
        "to_pool": format_qnet(pool),
        "claimed": format_qnet(operator - owed),
        "owed": format_qnet(owed),
    }


@click.command("settle")
@click.argument("index", metavar="NODE", type=click.IntRange(1))
@chain_options
@account_options
def settle_(session: Session, index: int) -> None:
    """Settle anybody's NODE up to the last final report, so that it takes delegations."""

    async def work() -> None:
        node = await find_node(session.contracts, index)
        before = await session.contracts.hub.settled_through(node.index)
        epoch = await settle(session, node.index)
        if before > epoch:
            say(f"node {node.index} is settled up to epoch {epoch} already")

    run(session, work)


@click.command()
@node_option
@chain_options
@account_options
def claim(session: Session, index: int | None) -> None:
    """Settle your node up to the last final report and pay what is owed.

    The leaf and its proof come from any committee member and are checked here against the root
    on the chain before anything is sent.
    """

    async def work() -> None:
        node = await own_node(session, index)
        hub = session.contracts.hub
        epoch = await settle(session, node.index)
        if settings().dry_run:
            return
        owed = await hub.owed(node.index)
        if owed == 0:
            say(f"node {node.index}: nothing is owed; settled up to epoch {epoch}")
            return
        preview = [
            f"pay {format_qnet(owed)} QNET of node {node.index}",
            f"to its payout account {checksum_address(node.payout)}",
        ]
        extra = {"node": node.index, "epoch": epoch, "amount": amount(owed), "wei": str(owed)}
        await send(session, "qnet.stake.claim/1", hub.claim_operator(node.index), preview, extra)

    run(session, work)
