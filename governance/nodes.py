"""Finding the node that a command means, and settling what it earned."""

from collections.abc import Callable
from typing import Any

import click

from governance.errors import NodeUnknownError
from governance.session import Session, amount, send
from governance.settlement import fetch_leaf, last_final_epoch
from qnet.address import checksum_address
from qnet.chain.contracts import Contracts
from qnet.chain.errors import ContractError
from qnet.chain.staking import RegisteredNode
from qnet.cli.settings import settings
from qnet.errors import UsageError
from qnet.units import format_qnet


def node_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--node`."""
    decorate = click.option(
        "--node",
        "index",
        type=click.IntRange(1),
        help="Registry index; found by owner if left out.",
    )
    return decorate(command)


async def find_node(contracts: Contracts, index: int) -> RegisteredNode:
    """Anybody's node by registry index.

    Raises:
        NodeUnknownError: there is none.
    """
    try:
        return await contracts.registry.node(index)
    except ContractError as error:
        if error.name != "UnknownNode":
            raise
        raise NodeUnknownError(
            f"there is no node {index}", try_=("qnet stake list --all",)
        ) from error


async def own_node(session: Session, index: int | None) -> RegisteredNode:
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


def named(node: RegisteredNode) -> str:
    """A node for people: number, role, owner."""
    return f"node {node.index} ({node.role.name.lower()}) of {checksum_address(node.owner)}"


async def settle(session: Session, index: int) -> int:
    """Settle a node up to the last final report, if anything is unsettled.

    The leaf comes from any committee member; its proof is checked here before anything is sent.

    Returns:
        The epoch up to which the node is settled, or will be after --dry-run.

    Raises:
        NotFoundError: no report is final yet.
        NetworkError: no member proves the leaf.
    """
    contracts, hub = session.contracts, session.contracts.hub
    epoch = await last_final_epoch(contracts)
    if await hub.settled_through(index) > epoch:
        return epoch
    found = await fetch_leaf(contracts, epoch, index)
    operator, pool = await hub.settled_cumulative(index)
    for_operator = found.leaf.cum_operator_wei - operator
    for_pool = found.leaf.cum_pool_wei - pool
    preview = [
        f"settle node {index} up to epoch {epoch}: {format_qnet(for_operator + for_pool)} QNET",
        f"{format_qnet(for_operator)} for the operator, {format_qnet(for_pool)} for delegators",
        "the leaf's proof leads to the root on the chain (checked here)",
    ]
    extra = {
        "node": index,
        "epoch": epoch,
        "amount": amount(for_operator + for_pool),
        "operator": amount(for_operator),
        "pool": amount(for_pool),
    }
    await send(
        session, "qnet.stake.settle/1", hub.settle_node(found.leaf, found.proof), preview, extra
    )
    return epoch


async def settle_before_delegating(session: Session, index: int) -> bool:
    """Settle a node that takes no delegations before; True if nothing stands in the way now.

    A node without a leaf in the last final report is exempt.
    """
    contracts = session.contracts
    final = await contracts.oracle.final_through()
    if await contracts.hub.settled_through(index) >= final:
        return True
    if (await contracts.oracle.report(final - 1)).report.node_count < index:
        return True
    await settle(session, index)
    return not settings().dry_run
