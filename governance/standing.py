"""`qnet stake refresh`, `unjail`, `retire`, `payout`: what a node is, and whom it pays."""

import click

from governance.errors import NodeStandingError
from governance.nodes import find_node, named, node_option, own_node
from governance.session import Session, account_options, chain_options, run, send, stamp
from qnet.address import ZERO_ADDRESS, checksum_address, parse_address
from qnet.chain.contracts import Contracts
from qnet.chain.staking import NodeState
from qnet.errors import UsageError
from qnet.units import format_qnet

_BY_BOND = frozenset({NodeState.REGISTERED, NodeState.ACTIVE})
"""States that the bond decides between."""
_FROM_WHEN = "it counts from the next epoch on"


async def _by_bond(contracts: Contracts, index: int) -> tuple[NodeState, str]:
    """What its bond makes of a node that is free to serve, and why in words."""
    bond_wei = await contracts.hub.bond_of(index)
    least_wei = await contracts.parameters.get("min_bond_wei")
    state = NodeState.ACTIVE if bond_wei >= least_wei else NodeState.REGISTERED
    return state, f"its bond is {format_qnet(bond_wei)} QNET, the least {format_qnet(least_wei)}"


@click.command()
@click.argument("index", metavar="NODE", type=click.IntRange(1))
@chain_options
@account_options
def refresh(session: Session, index: int) -> None:
    """Hold any node's bond against the least bond, after a vote on it."""

    async def work() -> None:
        contracts = session.contracts
        node = await find_node(contracts, index)
        becomes, why = await _by_bond(contracts, index)
        if node.state not in _BY_BOND or node.state is becomes:
            raise NodeStandingError(
                f"node {index} is {node.state.name.lower()}, and stays so", why=why
            )
        preview = [f"node {index} becomes {becomes.name.lower()}", why, _FROM_WHEN]
        extra = {"node": index, "state": becomes.name.lower()}
        call = contracts.registry.refresh(index)
        await send(session, "qnet.stake.refresh/1", call, preview, extra)

    run(session, work)


@click.command()
@node_option
@chain_options
@account_options
def unjail(session: Session, index: int | None) -> None:
    """Bring your node back to service when its term in jail is over."""

    async def work() -> None:
        contracts = session.contracts
        node = await own_node(session, index)
        if node.state is not NodeState.JAILED:
            raise NodeStandingError(
                f"node {node.index} is {node.state.name.lower()}, not in jail",
                try_=("qnet stake list",),
            )
        if await contracts.hub.freezes_of(node.index):
            raise NodeStandingError(
                f"a slash of node {node.index} is in escrow",
                why="it stays in jail until that is carried out or vetoed",
                try_=("qnet court status",),
            )
        now_s = (await contracts.client.block("latest")).timestamp
        if now_s < node.jailed_until_s:
            raise NodeStandingError(
                f"node {node.index} is in jail until {stamp(node.jailed_until_s)}",
                why=f"{node.jailed_until_s - now_s} s are left",
            )
        becomes, why = await _by_bond(contracts, node.index)
        leaves = f"{named(node)} leaves jail and becomes {becomes.name.lower()}"
        extra = {"node": node.index, "state": becomes.name.lower()}
        call = contracts.registry.unjail(node.index)
        await send(session, "qnet.stake.unjail/1", call, [leaves, why, _FROM_WHEN], extra)

    run(session, work)


@click.command()
@node_option
@chain_options
@account_options
def retire(session: Session, index: int | None) -> None:
    """End your node's service for good; its bond can be taken back as before."""

    async def work() -> None:
        node = await own_node(session, index)
        if node.state not in _BY_BOND:
            raise NodeStandingError(
                f"node {node.index} is {node.state.name.lower()}",
                why="only registered and active nodes retire",
            )
        preview = [
            f"{named(node)} retires; this cannot be undone",
            "it earns until the end of the epoch, and takes no more delegations",
            "bond and delegations stay until they are taken back: qnet stake unbond",
        ]
        call = session.contracts.registry.retire(node.index)
        await send(session, "qnet.stake.retire/1", call, preview, {"node": node.index})

    run(session, work)


@click.command()
@click.argument("address")
@node_option
@chain_options
@account_options
def payout(session: Session, address: str, index: int | None) -> None:
    """Pay what your node earns to ADDRESS from now on."""

    async def work() -> None:
        target = parse_address(address)
        if target == ZERO_ADDRESS:
            raise UsageError("nobody can be paid at the zero address")
        node = await own_node(session, index)
        preview = [
            f"pay what {named(node)} earns",
            f"to {checksum_address(target)}",
            f"instead of {checksum_address(node.payout)}, also what is owed already",
        ]
        extra = {"node": node.index, "payout": checksum_address(target)}
        call = session.contracts.registry.set_payout(node.index, target)
        await send(session, "qnet.stake.payout/1", call, preview, extra)

    run(session, work)
