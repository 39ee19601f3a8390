"""`qnet stake`: bonds of operators, and the rewards they earn."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import click

from governance.errors import NodeUnknownError, StakeMissingError, TicketLockedError
from governance.session import Session, account_options, chain_options, send, stamp
from governance.settlement import fetch_leaf, last_final_epoch
from qnet.address import checksum_address
from qnet.chain.staking import RegisteredNode
from qnet.cli.output import emit, say
from qnet.cli.settings import settings
from qnet.errors import UsageError
from qnet.units import format_qnet, parse_qnet


@click.group()
def stake() -> None:
    """Bond tokens, settle and claim rewards."""


def _node_option(command: Callable[..., Any]) -> Callable[..., Any]:
    decorate = click.option(
        "--node",
        "index",
        type=click.IntRange(1),
        help="Registry index; found by owner if left out.",
    )
    return decorate(command)


@stake.command()
@click.argument("amount")
@_node_option
@chain_options
@account_options
def bond(session: Session, amount: str, index: int | None) -> None:
    """Bond AMOUNT of QNET to your node."""

    async def work() -> None:
        amount_wei = parse_qnet(amount)
        node = await _own_node(session, index)
        token, hub = session.contracts.token, session.contracts.hub
        held = await token.balance_of(session.account)
        if held < amount_wei:
            raise StakeMissingError(
                f"{format_qnet(amount_wei)} QNET wanted, {format_qnet(held)} there",
                try_=("qnet wallet balance",),
            )
        parameters = await session.contracts.parameters.all()
        preview = [
            f"bond {format_qnet(amount_wei)} QNET to node {node.index} ({node.role.name.lower()})",
            f"of {checksum_address(session.account)}; the tokens vote for its delegate",
            f"unbonding takes {parameters.unbond_s} s; equivocation costs 5 %",
        ]
        if await token.allowance(session.account, hub.address) < amount_wei:
            allow = [f"let the hub take {format_qnet(amount_wei)} QNET, to bond it"]
            await send(
                session, "qnet.stake.approve/1", token.approve(hub.address, amount_wei), allow
            )
            if settings().dry_run:
                return
        extra = {"node": node.index, "amount": _amount(amount_wei)}
        await send(session, "qnet.stake.bond/1", hub.bond(node.index, amount_wei), preview, extra)

    _run(session, work)


@stake.command()
@click.argument("amount")
@_node_option
@chain_options
@account_options
def unbond(session: Session, amount: str, index: int | None) -> None:
    """Start to take AMOUNT of QNET back; it waits as a ticket."""

    async def work() -> None:
        amount_wei = parse_qnet(amount)
        node = await _own_node(session, index)
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
            f"withdraw from {stamp(int(time.time()) + parameters.unbond_s)}; no votes until then",
        ]
        extra = {"node": node.index, "amount": _amount(amount_wei)}
        await send(
            session, "qnet.stake.unbond/1", hub.unbond(node.index, amount_wei), preview, extra
        )

    _run(session, work)


@stake.command()
@click.argument("ticket", type=click.IntRange(0), required=False)
@chain_options
@account_options
def withdraw(session: Session, ticket: int | None) -> None:
    """Take the tokens of a matured TICKET; of all matured ones if left out."""

    async def work() -> None:
        now = (await session.contracts.client.block("latest")).timestamp
        open_ = await session.contracts.hub.tickets_of(session.account)
        chosen = [item for item in open_ if ticket is None or item.ticket_id == ticket]
        ripe = [item for item in chosen if item.unlocks_at_s <= now]
        if not chosen:
            raise StakeMissingError(
                "there is no such ticket" if ticket is not None else "there are no tickets",
                try_=("qnet stake list",),
            )
        if not ripe:
            first = min(item.unlocks_at_s for item in chosen)
            raise TicketLockedError(
                f"the ticket unlocks in {first - now} s",
                why="bonded tokens stay slashable for a while",
                try_=("qnet stake list",),
            )
        for item in ripe:
            preview = [
                f"withdraw {format_qnet(item.amount_wei)} QNET (ticket {item.ticket_id})",
                f"to {checksum_address(item.owner)}",
            ]
            extra = {"ticket": item.ticket_id, "amount": _amount(item.amount_wei)}
            call = session.contracts.hub.withdraw(item.ticket_id)
            await send(session, "qnet.stake.withdraw/1", call, preview, extra)

    _run(session, work)


@stake.command("list")
@click.option("--all", "everyone", is_flag=True, help="Nodes of all operators.")
@chain_options
@account_options
def list_(session: Session, everyone: bool) -> None:  # noqa: FBT001 - click's signature
    """List nodes with bond and money, and your unbonding tickets."""

    async def work() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        owner = None if everyone else session.account
        nodes = [n for n in await session.contracts.registry.nodes() if owner in {None, n.owner}]
        tickets = [] if owner is None else await session.contracts.hub.tickets_of(owner)
        shown = [
            {
                "ticket": item.ticket_id,
                "node": item.index,
                "amount": format_qnet(item.amount_wei),
                "unlocks": stamp(item.unlocks_at_s),
            }
            for item in tickets
        ]
        return [await _node_row(session, node) for node in nodes], shown

    rows, tickets = _run(session, work)
    emit("qnet.stake.list/1", {"nodes": rows, "tickets": tickets}, rows=rows)
    for item in tickets:
        say(f"ticket {item['ticket']}: {item['amount']} QNET unlock at {item['unlocks']}")


async def _node_row(session: Session, node: RegisteredNode) -> dict[str, Any]:
    hub = session.contracts.hub
    settled, _ = await hub.settled_cumulative(node.index)
    owed = await hub.owed(node.index)
    return {
        "node": node.index,
        "role": node.role.name.lower(),
        "state": node.state.name.lower(),
        "slot": "yes" if node.has_slot else "no",
        "owner": checksum_address(node.owner),
        "bond": format_qnet(await hub.bond_of(node.index)),
        "settled": format_qnet(settled),
        "claimed": format_qnet(settled - owed),
        "owed": format_qnet(owed),
    }


@stake.command()
@_node_option
@chain_options
@account_options
def claim(session: Session, index: int | None) -> None:
    """Settle your node up to the last final report and pay what is owed.

    The leaf and its proof come from any committee member and are checked here against the root
    on the chain before anything is sent.
    """

    async def work() -> None:
        node = await _own_node(session, index)
        contracts, hub = session.contracts, session.contracts.hub
        epoch = await last_final_epoch(contracts)
        found = await fetch_leaf(contracts, epoch, node.index)
        operator, pool = await hub.settled_cumulative(node.index)
        earned = found.leaf.cum_operator_wei - operator + found.leaf.cum_pool_wei - pool
        if earned > 0:
            preview = [
                f"settle node {node.index} up to epoch {epoch}: {format_qnet(earned)} QNET",
                "the leaf's proof leads to the root on the chain (checked here)",
            ]
            extra = {"node": node.index, "epoch": epoch, "amount": _amount(earned)}
            call = hub.settle_node(found.leaf, found.proof)
            await send(session, "qnet.stake.settle/1", call, preview, extra)
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
        extra = {"node": node.index, "epoch": epoch, "amount": _amount(owed), "wei": str(owed)}
        await send(session, "qnet.stake.claim/1", hub.claim_operator(node.index), preview, extra)

    _run(session, work)


async def _own_node(session: Session, index: int | None) -> RegisteredNode:
    """The node meant: by index, else the only one the account owns.

    Raises:
        NodeUnknownError: there is none, or it is somebody else's.
        UsageError: the account owns several and none was named.
    """
    owned = [
        node
        for node in await session.contracts.registry.nodes()
        if node.owner == session.account and index in {None, node.index}
    ]
    if not owned:
        which = f"node {index}" if index else "a node"
        raise NodeUnknownError(
            f"{checksum_address(session.account)} does not own {which}",
            try_=("qnet stake list --all", "qnet chain register-node"),
        )
    if len(owned) > 1:
        raise UsageError(
            f"the account owns {len(owned)} nodes",
            try_=tuple(f"add --node {node.index}" for node in owned[:3]),
        )
    return owned[0]


def _amount(wei: int) -> dict[str, str]:
    return {"amount": format_qnet(wei), "unit": "QNET"}


def _run(session: Session, work: Callable[[], Awaitable[Any]]) -> Any:
    async def inside() -> Any:
        async with session.open():
            return await work()

    return asyncio.run(inside())
