"""Step: what stands on the chain before the first packet flows."""

import ipaddress

from qnet.chain.contracts import Contracts
from qnet.chain.staking import NodeState
from qnet.units import format_qnet
from tools.devnet.demo.context import Demo


async def show_bonds(demo: Demo) -> None:
    """Check contracts, committee and operators against the chain."""
    journal = demo.journal
    async with demo.contracts() as contracts:
        with journal.step("contracts"):
            await contracts.deployment.check(contracts.client)
            count = len(contracts.deployment.contracts)
            journal.verified("code on the chain equals the manifest", f"{count} contracts")
            values = await contracts.parameters.all()
            told = await contracts.parameters.hash()
            journal.require(
                values.hash() == told, "parameters hash to what the chain says", told.hex()[:16]
            )
        with journal.step("committee"):
            await _check_committee(demo, contracts)
        with journal.step("operators"):
            await _check_operators(demo, contracts)


async def _check_committee(demo: Demo, contracts: Contracts) -> None:
    members = await contracts.committee.members()
    quorum = await contracts.committee.quorum()
    journal = demo.journal
    journal.require(
        len(members) == demo.config.committee and all(member.bonded for member in members),
        "every member has deposited its bond",
        f"{len(members)} members, quorum {quorum}",
    )
    keys = {key for member in members for key in (member.owner, member.signer)}
    journal.require(
        len(keys) == 2 * len(members), "no two members share a key", f"{len(keys)} keys"
    )


async def _check_operators(demo: Demo, contracts: Contracts) -> None:
    journal, nodes = demo.journal, await contracts.registry.nodes()
    journal.require(
        len(nodes) == len(demo.state.nodes)
        and all(node.state is NodeState.ACTIVE and node.has_slot for node in nodes),
        "every node is bonded, active and holds a paid slot",
        f"{len(nodes)} nodes, {format_qnet(await contracts.hub.total_bonded())} QNET",
    )
    bonds = [await contracts.hub.bond_of(node.index) for node in nodes]
    held = await contracts.token.balance_of(contracts.hub.address)
    journal.require(sum(bonds) == held, "bonds add up to the hub's tokens", f"{held} wei")
    keys = {key for node in nodes for key in (node.owner, node.receipt_key, node.identity_key)}
    journal.require(
        len(keys) == 3 * len(nodes), "no two nodes share an owner or a key", f"{len(keys)} keys"
    )
    networks = {ipaddress.ip_network(f"{n.host}/16", strict=False) for n in demo.state.nodes}
    journal.require(
        len(networks) == len(nodes), "no two nodes share a /16", f"{len(networks)} networks"
    )
