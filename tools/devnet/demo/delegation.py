"""Step: a holder delegates to a relay and shares in what it earns."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from qnet.address import parse_address
from qnet.chain.contracts import Contracts
from qnet.units import WEI_PER_QNET, format_qnet
from tools.devnet.demo.context import Demo
from tools.devnet.demo.journal import CheckFailedError
from tools.devnet.state import NodeRecord

HOLDER = "bob"
TOKENS = 6000
COST = 2
MARGIN_PERCENT = 20
PATIENCE_S = 30.0
POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Delegation:
    """What the holder put behind which relay.

    Attributes:
        node: the relay.
        holder: the delegator's address, 20 bytes.
        shares: shares of the relay's pool.
    """

    node: NodeRecord
    holder: bytes
    shares: int


async def delegate_to_a_relay(demo: Demo) -> Delegation:
    """Let an operator set its terms and a holder delegate; check shares, stake and votes."""
    journal = demo.journal
    node = next(node for node in demo.state.nodes if node.role == "relay")
    holder = parse_address(demo.state.account(HOLDER).address)
    with journal.step("delegation"):
        terms = ("--node", node.index, "--cost", COST, "--margin", MARGIN_PERCENT)
        signed = demo.signed_by(node.operator)
        await asyncio.to_thread(demo.qnet, "stake", "terms", *terms, *signed)
        words = ("stake", "delegate", node.index, TOKENS, *demo.signed_by(HOLDER))
        made = (await asyncio.to_thread(demo.qnet, *words))[-1]
        async with demo.contracts() as contracts:
            await _check_position(demo, contracts, node, holder, made)
        return Delegation(node, holder, int(made["shares"]))


async def _check_position(
    demo: Demo, contracts: Contracts, node: NodeRecord, holder: bytes, made: dict[str, Any]
) -> None:
    """Compare the command's result with the chain as of the block that holds it."""
    hub, journal = contracts.hub, demo.journal
    shares, block = int(made["shares"]), int(made["block"])
    held = await hub.position_of(holder, node.index, block)
    total = await hub.shares_of(node.index, block)
    journal.require(
        held.shares == shares == total,
        f"{HOLDER} holds the shares of {node.name}'s pool that the hub minted",
        f"{held.shares} of {total} shares for {TOKENS} QNET",
    )
    bond = await hub.bond_of(node.index, block)
    stake = await hub.stake_of(node.index, block)
    journal.require(
        stake == bond + TOKENS * WEI_PER_QNET,
        f"{node.name}'s stake counts bond and delegation",
        f"{format_qnet(bond)} + {TOKENS} = {format_qnet(stake)} QNET",
    )
    votes = await hub.votes(holder, block)
    journal.require(
        votes == held.principal_wei == TOKENS * WEI_PER_QNET,
        "delegated tokens vote for their holder",
        f"{format_qnet(votes)} QNET",
    )


async def show_shared_earnings(demo: Demo, delegation: Delegation) -> None:
    """Check after the settlement that the delegator's shares are worth more, little by little."""
    journal, node = demo.journal, delegation.node
    with journal.step("shared earnings"):
        async with demo.contracts() as contracts:
            operator, pool = await contracts.hub.settled_cumulative(node.index)
            journal.require(
                operator > 0 and pool > 0,
                f"{node.name}'s reward is split by its terms, {COST} QNET, then {MARGIN_PERCENT} %",
                f"operator {format_qnet(operator)} QNET, delegators {format_qnet(pool)} QNET",
            )
            worth = await _await_growth(contracts, delegation)
            put_in = TOKENS * WEI_PER_QNET
            journal.require(
                worth <= put_in + pool,
                f"{HOLDER}'s shares are worth more than was put in, and not more than was earned",
                f"{TOKENS} -> {format_qnet(worth)} QNET, streaming",
            )


async def _await_growth(contracts: Contracts, delegation: Delegation) -> int:
    """Wait until rewards have streamed into the pool; worth of the shares in wei.

    Raises:
        CheckFailedError: nothing arrives within half a minute.
    """
    deadline = time.monotonic() + PATIENCE_S
    put_in = TOKENS * WEI_PER_QNET
    while time.monotonic() < deadline:
        held = await contracts.hub.position_of(delegation.holder, delegation.node.index)
        if held.worth_wei > put_in:
            return held.worth_wei
        await asyncio.sleep(POLL_S)
    raise CheckFailedError(
        f"{HOLDER}'s shares are still worth what was put in after {PATIENCE_S:.0f} s"
    )
