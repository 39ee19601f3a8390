"""`qnet stake terms` and `slot`: how a node shares its rewards, and whether it earns any."""

from collections.abc import Sequence
from typing import Any

import click

from governance.errors import NoSlotError
from governance.nodes import find_node, node_option, own_node
from governance.session import Session, account_options, amount, chain_options, run, send
from qnet.chain.hub import Terms
from qnet.chain.staking import NodeState, RegisteredNode
from qnet.chain.values import TxReceipt
from qnet.cli.output import emit
from qnet.errors import UsageError
from qnet.parameters import NetworkParameters
from qnet.units import PPM, format_qnet, parse_qnet

_PPM_PER_PERCENT = PPM // 100


def in_force(terms: Terms, parameters: NetworkParameters) -> Terms:
    """Terms as rewards are shared by them: within what the parameters allow (QN-REW-052)."""
    margin = min(max(terms.margin_ppm, parameters.margin_min_ppm), PPM)
    return Terms(min(terms.cost_wei, parameters.cost_max_wei), margin)


def in_words(terms: Terms) -> str:
    """Terms for people."""
    percent = f"{terms.margin_ppm / _PPM_PER_PERCENT:g} %"
    return f"{format_qnet(terms.cost_wei)} QNET an epoch, then {percent}"


async def terms_words(session: Session, index: int) -> str:
    """What a node keeps now, and from when on something else."""
    contracts = session.contracts
    parameters = await contracts.parameters.all()
    epoch = await contracts.epochs.current_epoch()
    now = in_force(await contracts.hub.terms_at(index, epoch), parameters)
    latest, from_epoch = await contracts.hub.latest_terms_of(index)
    later = in_force(latest, parameters)
    if from_epoch <= epoch or later == now:
        return in_words(now)
    return f"{in_words(now)}; from epoch {from_epoch} on {in_words(later)}"


@click.command()
@node_option
@click.option("--cost", help="QNET that the operator gets first in each epoch.")
@click.option("--margin", type=click.FloatRange(0, 100), help="Its per cent of the rest.")
@chain_options
@account_options
def terms(session: Session, index: int | None, cost: str | None, margin: float | None) -> None:
    """Show how a node shares its rewards; with --cost or --margin, change it for your node."""

    async def show() -> None:
        found = index or (await own_node(session, None)).index
        await _show(session, await find_node(session.contracts, found))

    async def change() -> None:
        await _change(session, await own_node(session, index), cost, margin)

    run(session, show if cost is None and margin is None else change)


async def _show(session: Session, node: RegisteredNode) -> None:
    """Print a node's terms now, and those that come."""
    contracts = session.contracts
    parameters = await contracts.parameters.all()
    epoch = await contracts.epochs.current_epoch()
    now = in_force(await contracts.hub.terms_at(node.index, epoch), parameters)
    latest, from_epoch = await contracts.hub.latest_terms_of(node.index)
    data: dict[str, Any] = {"node": node.index, **_data(now), "next": None}
    if from_epoch > epoch:
        data["next"] = {**_data(latest), "from_epoch": from_epoch}
    emit("qnet.stake.terms/1", data, text=await terms_words(session, node.index))


async def _change(
    session: Session, node: RegisteredNode, cost: str | None, margin: float | None
) -> None:
    """Set a node's terms; what is not given stays."""
    contracts = session.contracts
    parameters = await contracts.parameters.all()
    latest, _ = await contracts.hub.latest_terms_of(node.index)
    old = in_force(latest, parameters)
    wished = Terms(
        old.cost_wei if cost is None else parse_qnet(cost),
        old.margin_ppm if margin is None else round(margin * _PPM_PER_PERCENT),
    )
    _check(wished, parameters)
    alone = await contracts.hub.shares_of(node.index) == 0
    when = "the next epoch" if alone else f"an epoch {parameters.terms_delay_s} s from now"
    preview = [
        f"node {node.index} keeps {in_words(wished)} (before: {in_words(old)})",
        f"from {when} on; terms set before others took effect replace them",
    ]
    call = contracts.hub.set_terms(node.index, wished)

    def facts(result: TxReceipt) -> dict[str, Any]:
        made = contracts.hub.only_event(result, "TermsSet").arguments
        return {"from_epoch": made["fromEpoch"]}

    extra = {"node": node.index, **_data(wished)}
    await send(session, "qnet.stake.set-terms/1", call, preview, extra, facts=facts)


def _data(found: Terms) -> dict[str, Any]:
    return {"cost": amount(found.cost_wei), "margin_ppm": found.margin_ppm}


def _check(wished: Terms, parameters: NetworkParameters) -> None:
    """Refuse what the hub would refuse.

    Raises:
        UsageError: cost or margin lie outside what the parameters allow.
    """
    if wished.cost_wei > parameters.cost_max_wei:
        raise UsageError(
            f"a cost of {format_qnet(wished.cost_wei)} QNET is too much",
            why=f"at most {format_qnet(parameters.cost_max_wei)} QNET an epoch",
        )
    if wished.margin_ppm < parameters.margin_min_ppm:
        raise UsageError(
            f"a margin of {wished.margin_ppm / _PPM_PER_PERCENT:g} % is too little",
            why=f"at least {parameters.margin_min_ppm / _PPM_PER_PERCENT:g} %",
        )


@click.command()
@node_option
@click.option("--from", "rival", type=click.IntRange(1), help="Take it from this node.")
@chain_options
@account_options
def slot(session: Session, index: int | None, rival: int | None) -> None:
    """Take a paid slot for your node: a free one, or that of a rival with clearly less stake."""

    async def work() -> None:
        contracts = session.contracts
        node = await own_node(session, index)
        if node.has_slot:
            raise NoSlotError(f"node {node.index} holds a paid slot already")
        if node.state is not NodeState.ACTIVE:
            raise NoSlotError(
                f"node {node.index} is {node.state.name.lower()}",
                why="only active nodes hold slots",
                try_=("qnet stake bond AMOUNT",),
            )
        role = node.role.name.lower()
        slots = await contracts.parameters.get(f"slots_{role}")
        extra: dict[str, Any] = {"node": node.index, "role": role}
        if rival is None and await contracts.registry.slots_taken(node.role) < slots:
            preview = [f"take a free paid slot of the {role} role for node {node.index}"]
            call = contracts.registry.take_slot(node.index)
        else:
            weakest, stake_wei = await _weakest(session, node, rival)
            preview = [
                f"take the paid slot of node {weakest} ({format_qnet(stake_wei)} QNET of stake)",
                (
                    f"for node {node.index}"
                    f" ({format_qnet(await contracts.hub.stake_of(node.index))} QNET)"
                ),
                "both earn as they do now until the next epoch",
            ]
            extra["rival"] = weakest
            call = contracts.registry.take_slot_from(node.index, weakest)
        await send(session, "qnet.stake.slot/1", call, preview, extra)

    run(session, work)


async def _weakest(session: Session, node: RegisteredNode, rival: int | None) -> tuple[int, int]:
    """The holder of a slot with the least stake, or the rival named, if it can be displaced.

    Raises:
        NoSlotError: its stake is not low enough, or it holds no slot of the role.
    """
    contracts = session.contracts
    holders: Sequence[RegisteredNode] = [
        other
        for other in await contracts.registry.nodes()
        if other.role is node.role and other.has_slot and rival in {None, other.index}
    ]
    if not holders:
        raise NoSlotError(f"node {rival} holds no paid slot of the {node.role.name.lower()} role")
    stakes = [(await contracts.hub.stake_of(other.index), other.index) for other in holders]
    least, weakest = min(stakes)
    own = await contracts.hub.stake_of(node.index)
    edge_ppm = await contracts.parameters.get("slot_edge_ppm")
    if own * PPM < least * (PPM + edge_ppm):
        needed = -(-least * (PPM + edge_ppm) // PPM)
        raise NoSlotError(
            f"node {node.index} has {format_qnet(own)} QNET of stake, too little for a slot",
            why=f"node {weakest} has {format_qnet(least)} QNET; {format_qnet(needed)} are needed",
            try_=("qnet stake bond AMOUNT", "ask holders to delegate to your node"),
        )
    return weakest, least
