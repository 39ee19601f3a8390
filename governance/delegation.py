"""`qnet stake delegate`, `undelegate`, `move`, `positions`, `poke`: tokens behind others' nodes."""

from typing import Any

import click

from governance.bonds import ticket_facts, unlock_stamp
from governance.errors import DelegationRefusedError, StakeMissingError
from governance.nodes import find_node, named, settle_before_delegating
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
from governance.terms import terms_words
from qnet.address import checksum_address, parse_address
from qnet.chain.hub import Position
from qnet.chain.staking import NodeState, RegisteredNode
from qnet.chain.values import TxReceipt
from qnet.cli.output import emit, say
from qnet.errors import UsageError
from qnet.units import PPM, format_qnet, parse_qnet

VIRTUAL_SHARES = 1000
"""Shares that belong to nobody (docs/spec/staking.md, QN-STK-002)."""
TOLERANCE_PPM = 995_000
"""A delegation is refused if it makes fewer shares than this part of what is expected now."""
CLOSED = frozenset({NodeState.RETIRED, NodeState.JAILED, NodeState.TOMBSTONED})

_NODE = click.IntRange(1)


@click.command()
@click.argument("index", metavar="NODE", type=_NODE)
@click.argument("tokens", metavar="AMOUNT")
@click.option("--min-shares", type=click.IntRange(0), help="Refuse fewer shares than this.")
@chain_options
@account_options
def delegate(session: Session, index: int, tokens: str, min_shares: int | None) -> None:
    """Put AMOUNT of QNET behind NODE, to share in what it earns."""

    async def work() -> None:
        amount_wei = parse_qnet(tokens)
        contracts, hub = session.contracts, session.contracts.hub
        node = await find_node(contracts, index)
        await require_tokens(session, amount_wei)
        await _check_room(session, node, amount_wei)
        if not await settle_before_delegating(session, index):
            return
        expected = await _shares_for(session, index, amount_wei)
        least = expected * TOLERANCE_PPM // PPM if min_shares is None else min_shares
        parameters = await contracts.parameters.all()
        lost = parameters.slash_receipts_ppm * 10 / PPM
        preview = [
            f"delegate {format_qnet(amount_wei)} QNET to {named(node)}",
            f"for about {expected} shares of its pool, at least {least}",
            f"it keeps {await terms_words(session, index)}",
            f"the tokens vote for the delegate of {checksum_address(session.account)}",
            f"undelegated ones wait until {await unlock_stamp(session)} or later",
            f"if the node signs two receipts for one tuple, {lost:g} % of them are lost",
        ]
        if not await allow(session, hub.address, amount_wei, "the hub"):
            return
        extra = {"node": index, "amount": amount(amount_wei)}

        def facts(result: TxReceipt) -> dict[str, Any]:
            made = hub.only_event(result, "Delegated").arguments
            return {"shares": str(made["shares"]), "pool": amount(made["newPool"])}

        call = hub.delegate(index, amount_wei, least)
        await send(session, "qnet.stake.delegate/1", call, preview, extra, facts=facts)

    run(session, work)


async def _check_room(session: Session, node: RegisteredNode, amount_wei: int) -> None:
    """Refuse what the hub would refuse, before an allowance is asked for.

    Raises:
        DelegationRefusedError: the node is closed, or its pool has no room.
    """
    if node.state in CLOSED:
        raise DelegationRefusedError(
            f"node {node.index} is {node.state.name.lower()} and takes no delegations",
            try_=("qnet stake list --all",),
        )
    hub = session.contracts.hub
    factor = await session.contracts.parameters.get("delegation_factor")
    room = factor * await hub.bond_of(node.index) - await hub.pool_of(node.index)
    if amount_wei > room:
        raise DelegationRefusedError(
            f"node {node.index} takes at most {format_qnet(max(room, 0))} QNET more",
            why=f"a pool may be at most {factor} times the node's own bond",
            try_=("qnet stake list --all",),
        )


async def _shares_for(session: Session, index: int, amount_wei: int) -> int:
    """Shares that a delegation would make now (QN-STK-002)."""
    hub = session.contracts.hub
    shares, available = await hub.shares_of(index), await hub.pool_of(index)
    return amount_wei * (shares + VIRTUAL_SHARES) // (available + 1)


@click.command()
@click.argument("index", metavar="NODE", type=_NODE)
@click.argument("tokens", metavar="AMOUNT|all")
@chain_options
@account_options
def undelegate(session: Session, index: int, tokens: str) -> None:
    """Start to take AMOUNT of QNET, or `all`, out of the pool of NODE; it waits as a ticket."""

    async def work() -> None:
        hub = session.contracts.hub
        node = await find_node(session.contracts, index)
        shares, worth_wei, left_wei = await _choose(session, index, tokens)
        preview = [
            f"undelegate about {format_qnet(worth_wei)} QNET ({shares} shares) from {named(node)}",
            f"about {format_qnet(left_wei)} QNET stay; what waits earns and votes no more",
            f"withdraw from {await unlock_stamp(session)}; slashable until then",
        ]
        extra = {"node": index, "shares": str(shares)}

        def facts(result: TxReceipt) -> dict[str, Any]:
            made = hub.only_event(result, "Undelegated").arguments
            return {
                "amount": amount(made["amount"]),
                **ticket_facts(session, result, "Undelegated"),
            }

        call = hub.undelegate(index, shares)
        await send(session, "qnet.stake.undelegate/1", call, preview, extra, facts=facts)

    run(session, work)


@click.command()
@click.argument("source", type=_NODE)
@click.argument("target", type=_NODE)
@click.argument("tokens", metavar="AMOUNT|all")
@chain_options
@account_options
def move(session: Session, source: int, target: int, tokens: str) -> None:
    """Move AMOUNT of QNET, or `all`, from the pool of SOURCE to that of TARGET at once."""

    async def work() -> None:
        contracts, hub = session.contracts, session.contracts.hub
        if source == target:
            raise UsageError("source and target are the same node")
        left, entered = await find_node(contracts, source), await find_node(contracts, target)
        shares, worth_wei, _ = await _choose(session, source, tokens)
        await _check_room(session, entered, worth_wei)
        if not await settle_before_delegating(session, target):
            return
        least = await _shares_for(session, target, worth_wei) * TOLERANCE_PPM // PPM
        preview = [
            f"move about {format_qnet(worth_wei)} QNET ({shares} shares) from {named(left)}",
            f"to {named(entered)}, for at least {least} shares",
            f"it keeps {await terms_words(session, target)}",
            (
                f"until {await unlock_stamp(session)} they stay slashable for what {source} did,"
                f" and cannot leave {target}"
            ),
        ]
        extra = {"source": source, "target": target, "shares": str(shares)}

        def facts(result: TxReceipt) -> dict[str, Any]:
            made = hub.only_event(result, "Redelegated").arguments
            return {
                "amount": amount(made["amount"]),
                "minted": str(made["sharesMinted"]),
                "bound_until": stamp(made["unlocksAt"]),
            }

        call = hub.redelegate(source, target, shares, least)
        await send(session, "qnet.stake.move/1", call, preview, extra, facts=facts)

    run(session, work)


async def _choose(session: Session, index: int, tokens: str) -> tuple[int, int, int]:
    """Shares to give up, what they are worth, and what stays (wei).

    Raises:
        StakeMissingError: the account has fewer free shares in this pool.
    """
    position = await session.contracts.hub.position_of(session.account, index)
    free = position.shares - await _bound(session, index)
    if tokens == "all":
        shares = free
    else:
        wanted = parse_qnet(tokens)
        shares = -(-wanted * position.shares // position.worth_wei) if position.worth_wei else 0
    if not 0 < shares <= free:
        bound = position.shares - free
        raise StakeMissingError(
            f"about {format_qnet(_worth(position, free))} QNET can leave the pool of node {index}",
            why=f"{bound} shares are bound after a move" if bound else "",
            try_=("qnet stake positions",),
        )
    worth_wei = _worth(position, shares)
    return shares, worth_wei, position.worth_wei - worth_wei


def _worth(position: Position, shares: int) -> int:
    return position.worth_wei * shares // position.shares if position.shares else 0


async def _bound(session: Session, index: int) -> int:
    """Shares of a pool that the account cannot take out yet."""
    now = (await session.contracts.client.block("latest")).timestamp
    liens = await session.contracts.hub.liens_of(session.account)
    return sum(lien.shares for lien in liens if lien.target == index and lien.unlocks_at_s > now)


@click.command()
@click.option("--of", "owner", help="Address; your own account if left out.")
@chain_options
@account_options
def positions(session: Session, owner: str | None) -> None:
    """List delegations, what they are worth, and what binds them."""

    async def work() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        hub = session.contracts.hub
        holder = parse_address(owner) if owner else session.account
        rows = []
        for node in await session.contracts.registry.nodes():
            held = await hub.position_of(holder, node.index)
            if held.shares:
                rows.append(await _position_row(session, node, held))
        liens = [
            {
                "source": lien.source,
                "target": lien.target,
                "shares": str(lien.shares),
                "until": stamp(lien.unlocks_at_s),
            }
            for lien in await hub.liens_of(holder)
        ]
        return rows, liens

    rows, liens = run(session, work)
    emit("qnet.stake.positions/1", {"positions": rows, "liens": liens}, rows=rows)
    for lien in liens:
        say(
            f"{lien['shares']} shares of node {lien['target']} came from node {lien['source']}"
            f" and are bound until {lien['until']}"
        )


async def _position_row(session: Session, node: RegisteredNode, held: Position) -> dict[str, Any]:
    hub = session.contracts.hub
    total = await hub.shares_of(node.index)
    return {
        "node": node.index,
        "role": node.role.name.lower(),
        "state": node.state.name.lower(),
        "put_in": format_qnet(held.principal_wei),
        "worth": format_qnet(held.worth_wei),
        "shares": str(held.shares),
        "of_pool_percent": f"{held.shares * 100 * PPM // total / PPM:.2f}",
        "keeps": await terms_words(session, node.index),
    }


@click.command()
@click.argument("index", metavar="NODE", type=_NODE)
@click.option("--of", "owner", help="Address of the delegator; your own account if left out.")
@chain_options
@account_options
def poke(session: Session, index: int, owner: str | None) -> None:
    """Bring a delegation to NODE up to date after a slash: its votes, its liens. Anybody may."""

    async def work() -> None:
        node = await find_node(session.contracts, index)
        holder = parse_address(owner) if owner else session.account
        hub = session.contracts.hub
        held = await hub.position_of(holder, index)
        preview = [
            f"bring the delegation of {checksum_address(holder)} to {named(node)} up to date",
            (
                f"it votes with {format_qnet(held.principal_wei)} QNET"
                f" and is worth {format_qnet(held.worth_wei)} QNET"
            ),
        ]
        extra = {"node": index, "account": checksum_address(holder)}
        await send(session, "qnet.stake.poke/1", hub.poke(holder, index), preview, extra)

    run(session, work)
