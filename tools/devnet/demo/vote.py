"""Step: a holder changes the network's rules, with `qnet gov` as anybody would."""

import asyncio
import time
from typing import Any

from governance.ballot import short_id
from qnet.address import parse_address
from qnet.chain.governing import ProposalState
from qnet.units import PPM, parse_qnet
from tools.devnet.demo.context import Demo
from tools.devnet.demo.journal import CheckFailedError

PARAMETER = "streams_per_circuit_max"
NEW_VALUE = 6
HOLDER = "alice"
PATIENCE_S = 60
POLL_S = 0.5
LOST = (ProposalState.CANCELED, ProposalState.DEFEATED, ProposalState.EXPIRED)


async def change_a_parameter(demo: Demo) -> None:
    """Delegate, propose, vote, queue, execute; check each effect on the chain."""
    journal = demo.journal
    signed = demo.signed_by(HOLDER)
    with journal.step("governance"):
        async with demo.contracts() as contracts:
            before = await contracts.parameters.get(PARAMETER)
            hash_before = await contracts.parameters.hash()
        await asyncio.to_thread(demo.qnet, "gov", "delegate", "self", *signed)
        power = (await asyncio.to_thread(demo.qnet, "gov", "power", *signed))[0]
        journal.require(
            power["tokens_vote_for"] == "itself",
            f"{HOLDER} votes with its own tokens",
            f"{power['votes']['amount']} QNET",
        )
        await _await_power(demo)
        proposal = await _propose(demo, signed)
        await _await_state(demo, proposal, ProposalState.ACTIVE)
        await asyncio.to_thread(demo.qnet, "gov", "vote", proposal, "for", *signed)
        await _await_state(demo, proposal, ProposalState.SUCCEEDED)
        shown = (await asyncio.to_thread(demo.qnet, "gov", "show", proposal, *demo.on_chain()))[0]
        journal.require(
            shown["recounted"] and shown["quorum_reached"],
            "votes recounted from events equal the contract's count",
            f"for {shown['for']['amount']}, quorum {shown['quorum']['amount']}, "
            f"{_turnout(shown, power)}",
        )
        await asyncio.to_thread(demo.qnet, "gov", "queue", proposal, *signed)
        done = await asyncio.to_thread(demo.qnet, "gov", "execute", proposal, "--wait", *signed)
        async with demo.contracts() as contracts:
            after = await contracts.parameters.get(PARAMETER)
            hash_after = await contracts.parameters.hash()
        journal.require(
            (before != after) and after == NEW_VALUE and hash_before != hash_after,
            f"{PARAMETER} changed on the chain",
            f"{before} -> {after}, tx {done[-1]['tx'][:18]}…",
        )


def _turnout(shown: dict[str, Any], power: dict[str, Any]) -> str:
    cast = parse_qnet(shown["for"]["amount"])
    held = parse_qnet(power["votes"]["amount"])
    return f"{cast * 100 * PPM // held // PPM} % of the holder's votes"


async def _await_power(demo: Demo) -> None:
    """Wait until the delegation counts: votes are read a second in the past."""
    holder = parse_address(demo.state.account(HOLDER).address)
    deadline = time.monotonic() + PATIENCE_S
    async with demo.contracts() as contracts:
        while time.monotonic() < deadline:
            now = (await contracts.client.block()).timestamp
            if await contracts.governor.votes(holder, now - 1):
                return
            await asyncio.sleep(POLL_S)
    raise CheckFailedError(f"{HOLDER}'s delegation does not count after {PATIENCE_S} s")


async def _propose(demo: Demo, signed: list[str]) -> str:
    words = ("gov", "propose", "param", PARAMETER, NEW_VALUE, "--reason", "shown by the demo")
    made = (await asyncio.to_thread(demo.qnet, *words, *signed))[0]
    demo.journal.verified(
        "id recomputed locally equals the governor's", short_id(int(made["id"])) + "…"
    )
    return str(made["id"])


async def _await_state(demo: Demo, proposal: str, wanted: ProposalState) -> None:
    """Wait until the governor says that the proposal is in a state.

    Raises:
        CheckFailedError: it takes longer than a minute, or the proposal took another way.
    """
    deadline = time.monotonic() + PATIENCE_S
    async with demo.contracts() as contracts:
        while True:
            state = await contracts.governor.state(int(proposal))
            if state is wanted:
                return
            if state > wanted or state in LOST or time.monotonic() > deadline:
                break
            await asyncio.sleep(POLL_S)
        tally = await contracts.governor.tally(int(proposal))
        now = (await contracts.client.block()).timestamp
        ends = await contracts.governor.deadline_s(int(proposal))
    raise CheckFailedError(
        f"the proposal is {state.name.lower()}, not {wanted.name.lower()}",
        why=f"for {tally.for_wei}, against {tally.against_wei}; chain time {now}, vote ends {ends}",
    )
