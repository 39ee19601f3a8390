"""`qnet gov`: what holders decide."""

import asyncio
from collections.abc import Sequence
from typing import Any

import click

from governance.ballot import parse_support
from governance.client import GovernanceClient, ProposalView
from governance.contracts import contracts as contract_commands
from governance.errors import VersionUnknownError
from governance.session import Session, account_options, chain_options, send, stamp
from governance.tally import turnout_ppm
from governance.timelock import Wait
from qnet.address import checksum_address, parse_address
from qnet.chain.governing import ProposalState
from qnet.chain.layout import PINNED_PARAMETERS
from qnet.chain.values import Call
from qnet.cli.output import emit, say
from qnet.parameters import BOUNDS, NetworkParameters
from qnet.units import format_qnet

POLL_S = 0.5


@click.group()
def gov() -> None:
    """Vote on parameters, versions and upgrades."""


gov.add_command(contract_commands)


@gov.command()
@chain_options
def status(session: Session) -> None:
    """Show the rules of voting and what is open now."""

    async def work(client: GovernanceClient) -> dict[str, Any]:
        contracts, now = session.contracts, (await client.latest()).timestamp
        supply = await contracts.token.total_supply()
        proposals = await client.proposals()
        return {
            "proposals": len(proposals),
            "open": sum(view.state == ProposalState.ACTIVE for view in proposals),
            "supply": _amount(supply),
            "quorum": _amount(await contracts.governor.quorum(now - 1)),
            "proposal_threshold": _amount(await contracts.governor.proposal_threshold()),
            "voting_delay_s": await contracts.governor.voting_delay_s(),
            "voting_period_s": await contracts.governor.voting_period_s(),
            "timelock_s": await contracts.timelock.min_delay_s(),
            "params_hash": "0x" + (await client.parameters()).hash().hex(),
            "time": stamp(now),
        }

    data = _run(session, work)
    emit("qnet.gov.status/1", data, text=_lines(data))


@gov.command()
@click.argument("name", required=False)
@chain_options
def params(session: Session, name: str | None) -> None:
    """Show parameters in force with their bounds; NAME may be the start of a name."""

    async def work(client: GovernanceClient) -> tuple[dict[str, int], int]:
        return (await client.parameters()).to_map(), client.chain_id

    values, chain_id = _run(session, work)
    chosen = [key for key in values if key.startswith(name or "")]
    if not chosen:
        NetworkParameters.profile("main").with_value(name or "", 0)  # raises NotFoundError
    rows = [
        {
            "name": key,
            "value": values[key],
            "min": values[key] if key in PINNED_PARAMETERS else BOUNDS[key].low_on(chain_id),
            "max": values[key] if key in PINNED_PARAMETERS else BOUNDS[key].high,
            "meaning": BOUNDS[key].meaning,
        }
        for key in chosen
    ]
    emit("qnet.gov.params/1", rows, rows=rows)


@gov.command("list")
@click.option("--open", "only_open", is_flag=True, help="Only those that are not decided.")
@chain_options
def list_(session: Session, only_open: bool) -> None:  # noqa: FBT001 - click's signature
    """List proposals, newest first."""
    from governance.ballot import OPEN_STATES

    async def work(client: GovernanceClient) -> list[dict[str, Any]]:
        supply = await session.contracts.token.total_supply()
        views = await client.proposals()
        return [
            {
                "id": str(view.proposal_id),
                "title": view.proposal.title,
                "state": view.state.name.lower(),
                "ends": stamp(view.deadline_s),
                "for": format_qnet(view.tally.for_),
                "against": format_qnet(view.tally.against),
                "turnout_percent": f"{turnout_ppm(view.tally, supply) / 10_000:.2f}",
            }
            for view in views
            if not only_open or view.state in OPEN_STATES
        ]

    data = _run(session, work)
    rows = [{**entry, "id": entry["id"][:10]} for entry in data]
    emit("qnet.gov.list/1", data, rows=rows)


@gov.command()
@click.argument("proposal")
@chain_options
def show(session: Session, proposal: str) -> None:
    """Show one proposal: what it would do, who voted, the recount.

    PROPOSAL is an id, its first digits, or `latest`.
    """

    async def work(client: GovernanceClient) -> tuple[dict[str, Any], str]:
        view = await client.find(proposal)
        counted = await client.recount(view)
        current = (await client.parameters()).to_map()
        actions = [action.describe(current) for action in client.decode(view.proposal)]
        quorum = await client.quorum(view)
        votes = await client.votes(view.proposal_id)
        data = _view_data(view) | {
            "actions": actions,
            "quorum": _amount(quorum),
            "quorum_reached": counted.towards_quorum >= quorum,
            "recounted": True,
            "votes": [
                {
                    "voter": checksum_address(vote.voter),
                    "support": vote.support,
                    "weight": _amount(vote.weight),
                    "reason": vote.reason,
                }
                for vote in votes
            ],
        }
        return data, _show_text(view, actions, len(votes), quorum)

    data, text = _run(session, work)
    emit("qnet.gov.show/1", data, text=text)


def _show_text(view: ProposalView, actions: Sequence[str], votes: int, quorum: int) -> str:
    lines = [
        f"{view.proposal.title}",
        f"id       {view.proposal_id}",
        f"state    {view.state.name.lower()}",
        f"by       {checksum_address(view.proposer)}",
        *(f"does     {action}" for action in actions),
        f"voting   {stamp(view.snapshot_s)} to {stamp(view.deadline_s)}",
        f"votes    {view.tally.describe()} ({votes} cast, recounted from events: equal)",
        f"quorum   {format_qnet(view.tally.towards_quorum)} of {format_qnet(quorum)}",
    ]
    if view.eta_s:
        lines.append(f"execute  from {stamp(view.eta_s)}")
    return "\n".join([*lines, "", view.proposal.description])


def _view_data(view: ProposalView) -> dict[str, Any]:
    return {
        "id": str(view.proposal_id),
        "title": view.proposal.title,
        "description": view.proposal.description,
        "proposer": checksum_address(view.proposer),
        "state": view.state.name.lower(),
        "voting_starts": stamp(view.snapshot_s),
        "voting_ends": stamp(view.deadline_s),
        "execute_from": stamp(view.eta_s) if view.eta_s else None,
        "for": _amount(view.tally.for_),
        "against": _amount(view.tally.against),
        "abstain": _amount(view.tally.abstain),
    }


@gov.group()
def propose() -> None:
    """Propose a change."""


@propose.command()
@click.argument("key")
@click.argument("value", type=int)
@click.option("--reason", default="", help="A few words for the voters.")
@chain_options
@account_options
def param(session: Session, key: str, value: int, reason: str) -> None:
    """Propose to set parameter KEY to VALUE."""

    async def work(client: GovernanceClient) -> None:
        proposer = session.account
        proposal, call = await client.propose_parameter(
            key, value, proposer=proposer, reason=reason
        )
        current = (await client.parameters()).to_map()
        preview = [
            f"propose: {proposal.title}",
            f"as {checksum_address(proposer)}",
            *(f"would {action.describe(current)}" for action in client.decode(proposal)),
            f"id {proposal.proposal_id} (recomputed, equal to the governor's)",
        ]
        extra = {"id": str(proposal.proposal_id), "title": proposal.title}
        await send(session, "qnet.gov.propose/1", call, preview, extra)

    _run(session, work)


@gov.command()
@click.argument("proposal")
@click.argument("choice", type=click.Choice(["for", "against", "abstain"]))
@click.option("--reason", default="", help="Words stored with the vote.")
@chain_options
@account_options
def vote(session: Session, proposal: str, choice: str, reason: str) -> None:
    """Vote on a proposal with all your votes."""

    async def work(client: GovernanceClient) -> None:
        support = parse_support(choice)
        view, ballot, call = await client.vote(proposal, session.account, support, reason)
        extra = {
            "id": str(view.proposal_id),
            "support": choice,
            "power": _amount(ballot.power),
        }
        await send(session, "qnet.gov.vote/1", call, ballot.preview(view.proposal.title), extra)

    _run(session, work)


@gov.command()
@click.argument("to")
@click.option("--staked/--tokens", default=None, help="Only staked principal, or only tokens.")
@chain_options
@account_options
def delegate(session: Session, to: str, staked: bool | None) -> None:  # noqa: FBT001 - click's signature
    """Let TO (an address, or `self`) vote with your tokens and your staked principal."""

    async def work(client: GovernanceClient) -> None:
        delegatee = session.account if to == "self" else parse_address(to)
        power = await client.power(session.account)
        calls: list[tuple[str, Call]] = []
        if staked is not True and power.delegate != delegatee:
            what = f"{format_qnet(power.balance)} QNET of tokens"
            calls.append((what, session.contracts.token.delegate(delegatee)))
        if staked is not False and power.staked_delegate != delegatee and (staked or power.staked):
            calls.append(("its staked principal", session.contracts.hub.delegate_votes(delegatee)))
        if not calls:
            say(f"{checksum_address(delegatee)} votes for this account already")
        for what, call in calls:
            preview = [
                f"let {checksum_address(delegatee)} vote with {what}",
                f"of {checksum_address(session.account)}; nothing is moved, undo it at any time",
            ]
            extra = {"delegate": checksum_address(delegatee)}
            await send(session, "qnet.gov.delegate/1", call, preview, extra)

    _run(session, work)


@gov.command()
@click.argument("proposal")
@chain_options
@account_options
def queue(session: Session, proposal: str) -> None:
    """Hand a proposal that won to the timelock."""

    async def work(client: GovernanceClient) -> None:
        view, call = await client.queue(proposal)
        delay = await session.contracts.timelock.min_delay_s()
        preview = [f"queue: {view.proposal.title}", f"executable {delay} s later, by anybody"]
        await send(session, "qnet.gov.queue/1", call, preview, {"id": str(view.proposal_id)})

    _run(session, work)


@gov.command()
@click.argument("proposal")
@click.option("--wait", is_flag=True, help="Wait until the timelock opens.")
@chain_options
@account_options
def execute(session: Session, proposal: str, wait: bool) -> None:  # noqa: FBT001 - click's signature
    """Carry out a queued proposal."""

    async def work(client: GovernanceClient) -> None:
        view = await client.find(proposal)
        while wait and view.state is ProposalState.QUEUED:
            left = Wait(view.eta_s, (await client.latest()).timestamp)
            if left.is_over:
                break
            say(f"the timelock opens in {left.left_s} s")
            await asyncio.sleep(max(POLL_S, left.left_s / 2))
        view, call = await client.execute(proposal)
        current = (await client.parameters()).to_map()
        does = [action.describe(current) for action in client.decode(view.proposal)]
        preview = [f"execute: {view.proposal.title}", *does]
        await send(session, "qnet.gov.execute/1", call, preview, {"id": str(view.proposal_id)})

    _run(session, work)


@gov.command()
@click.argument("proposal")
@chain_options
@account_options
def cancel(session: Session, proposal: str) -> None:
    """Take back your own proposal before its vote begins."""

    async def work(client: GovernanceClient) -> None:
        view, call = await client.cancel(proposal, session.account)
        preview = [f"cancel: {view.proposal.title}", "it can never be voted on again"]
        await send(session, "qnet.gov.cancel/1", call, preview, {"id": str(view.proposal_id)})

    _run(session, work)


@gov.command()
@click.argument("address", required=False)
@chain_options
@account_options
def power(session: Session, address: str | None) -> None:
    """Show the votes of ADDRESS, or of your account."""

    async def work(client: GovernanceClient) -> dict[str, Any]:
        account = parse_address(address) if address else session.account
        found = await client.power(account)
        threshold = await session.contracts.governor.proposal_threshold()
        return {
            "account": checksum_address(account),
            "votes": _amount(found.total),
            "from_tokens": _amount(found.tokens),
            "from_stake": _amount(found.staked),
            "balance": _amount(found.balance),
            "tokens_vote_for": _delegate_words(found.delegate, account),
            "stake_votes_for": _delegate_words(found.staked_delegate, account),
            "may_propose": found.total >= threshold,
        }

    data = _run(session, work)
    emit("qnet.gov.power/1", data, text=_lines(data))


@gov.command()
@chain_options
def versions(session: Session) -> None:
    """List the protocol versions holders have published."""

    async def work(_client: GovernanceClient) -> list[dict[str, Any]]:
        registry = session.contracts.versions
        return [
            {
                "version": version.semver,
                "minimum": version.minimum,
                "activation_epoch": version.activation_epoch,
                "spec_hash": "0x" + version.spec_hash.hex(),
                "artifact_hash": "0x" + version.artifact_hash.hex(),
                "published": stamp(version.published_at_s),
            }
            for version in await registry.versions()
        ]

    rows = _run(session, work)
    if not rows:
        raise VersionUnknownError("no version was published yet", why="holders publish by vote")
    emit("qnet.gov.versions/1", rows, rows=rows)


def _delegate_words(delegate: bytes, account: bytes) -> str:
    if not any(delegate):
        return "nobody"
    return "itself" if delegate == account else checksum_address(delegate)


def _amount(wei: int) -> dict[str, str]:
    return {"amount": format_qnet(wei), "unit": "QNET"}


def _lines(data: dict[str, Any]) -> str:
    """Write fields one below the other, amounts with their unit."""
    width = max(map(len, data))
    lines = []
    for key, value in data.items():
        word = f"{value['amount']} {value['unit']}" if isinstance(value, dict) else value
        lines.append(f"{key.replace('_', ' '):<{width}}  {word}")
    return "\n".join(lines)


def _run(session: Session, work: Any) -> Any:
    """Open the chain, run one coroutine with a governance client, close it."""

    async def inside() -> Any:
        async with session.open():
            return await work(GovernanceClient(session.contracts))

    return asyncio.run(inside())
