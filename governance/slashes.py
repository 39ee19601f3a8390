"""`qnet court execute` and `veto`: what becomes of a slash in escrow."""

from typing import Any

import click

from governance.errors import ChallengeStateError
from governance.nodes import find_node, named
from governance.session import Session, account_options, amount, chain_options, run, send
from qnet.address import checksum_address
from qnet.chain.contracts import Contracts
from qnet.chain.disputes import Slash, SlashState
from qnet.chain.values import TxReceipt
from qnet.units import PPM


@click.command()
@click.argument("slash", type=click.IntRange(1))
@chain_options
@account_options
def execute(session: Session, slash: int) -> None:
    """Carry out a SLASH whose escrow is over. Anybody may."""

    async def work() -> None:
        contracts = session.contracts
        found = await _in_escrow(contracts, slash)
        now = (await contracts.client.block("latest")).timestamp
        if now < found.executable_at_s:
            raise ChallengeStateError(
                f"slash {slash} is in escrow for another {found.executable_at_s - now} s",
                why="the vetoer may stop it until then",
            )
        preview = [
            f"carry out slash {slash} against {await _subject(contracts, found)}",
            f"{await _cost_words(contracts, found)}",
            "that cannot be undone",
        ]

        def facts(result: TxReceipt) -> dict[str, Any]:
            made = contracts.slasher.only_event(result, "SlashExecuted").arguments
            return {
                "to_challenger": amount(made["toChallenger"]),
                "refilled": amount(made["refilled"]),
                "burned": amount(made["burned"]),
            }

        call = contracts.slasher.execute(slash)
        extra = {"slash": slash}
        await send(session, "qnet.court.execute/1", call, preview, extra, facts=facts)

    run(session, work)


@click.command()
@click.argument("slash", type=click.IntRange(1))
@chain_options
@account_options
def veto(session: Session, slash: int) -> None:
    """Stop a SLASH in escrow; only the vetoer may. Holders can overrule it."""

    async def work() -> None:
        contracts = session.contracts
        found = await _in_escrow(contracts, slash)
        preview = [
            f"stop slash {slash} against {await _subject(contracts, found)}",
            "its tickets are no longer frozen; holders can overrule the veto by a vote",
        ]
        extra = {"slash": slash}
        await send(session, "qnet.court.veto/1", contracts.slasher.veto(slash), preview, extra)

    run(session, work)


async def _in_escrow(contracts: Contracts, slash: int) -> Slash:
    found = await contracts.slasher.slash(slash)
    if found.state is not SlashState.ESCROW:
        missing = found.state is SlashState.NONE
        raise ChallengeStateError(
            f"there is no slash {slash}"
            if missing
            else f"slash {slash} is {found.state.name.lower()}",
            try_=("qnet court status",),
        )
    return found


async def _subject(contracts: Contracts, slash: Slash) -> str:
    if slash.is_member:
        return f"member {slash.subject} of the committee"
    return named(await find_node(contracts, slash.subject))


async def _cost_words(contracts: Contracts, slash: Slash) -> str:
    """What a slash costs and who gets it."""
    share_ppm = await contracts.parameters.get("challenger_ppm")
    part = f"{share_ppm * 100 / PPM:g} % of it go to {checksum_address(slash.challenger)}"
    if slash.is_member:
        return f"it loses its whole bond and its place; {part}"
    lost = slash.ppm * 100 / PPM
    return f"it loses {lost:g} % of its bond, delegators a tenth of that rate; {part}"
