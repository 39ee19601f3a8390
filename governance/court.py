"""`qnet court`: bring evidence against nodes, members and reports."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from governance import demands, slashes
from governance.challenges import (
    find_opened,
    open_challenge,
    opening_path,
    prepare,
    provable,
)
from governance.errors import ChallengeStateError, EvidenceFailsError
from governance.evidence import check_evidence
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
from qnet.address import checksum_address
from qnet.chain.contracts import Contracts
from qnet.chain.disputes import Challenge, Slash
from qnet.chain.errors import ContractError
from qnet.chain.values import Call, TxReceipt
from qnet.cli.output import emit, say
from qnet.cli.settings import settings
from qnet.errors import ConfigError
from qnet.messages.evidence_file import MAX_FILE_BYTES, EvidenceFile
from qnet.messages.proofs import ChargeEvidence, JailEvidence
from qnet.units import format_qnet

SHOWN = 50
POLL_S = 0.5
LATER_LOOKS = 4
_FILE = click.Path(path_type=Path)


@click.group()
def court() -> None:
    """Take evidence to the dispute court, and see what became of it."""


def _load(path: Path) -> EvidenceFile:
    """Read an evidence file.

    Raises:
        ConfigError: it cannot be read.
        DecodeError: it holds no evidence.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}", why=str(error)) from error
    return EvidenceFile.decode(data)


@court.command()
@chain_options
def status(session: Session) -> None:
    """List the latest challenges and slashes, and the court's terms."""

    async def work() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        contracts = session.contracts
        parameters = await contracts.parameters.all()
        challenges = [
            await contracts.court.challenge(number)
            for number in _latest(await contracts.court.count())
        ]
        slashes = [
            await contracts.slasher.slash(number)
            for number in _latest(await contracts.slasher.count())
        ]
        rows = [_challenge_row(item) for item in challenges] + [
            _slash_row(item) for item in slashes
        ]
        data = {
            "bond": amount(parameters.challenge_bond_wei),
            "prove_within_s": parameters.challenge_open_s,
            "evidence_counts_s": min(parameters.evidence_s, parameters.unbond_s),
            "escrow_s": parameters.escrow_s,
            "challenger_ppm": parameters.challenger_ppm,
            "court_paused": await contracts.court.is_paused(),
            "slasher_paused": await contracts.slasher.is_paused(),
            "entries": rows,
        }
        return data, rows

    data, rows = run(session, work)
    say(
        f"a challenge takes {data['bond']['amount']} QNET, its proof must follow within"
        f" {data['prove_within_s']} s; a slash waits {data['escrow_s']} s for a veto"
    )
    emit("qnet.court.status/1", data, rows=rows)


def _latest(count: int) -> range:
    return range(max(1, count - SHOWN + 1), count + 1)


def _challenge_row(item: Challenge) -> dict[str, Any]:
    return {
        "entry": "challenge",
        "id": item.challenge_id,
        "state": item.state.name.lower(),
        "against": None,
        "epoch": None,
        "by": checksum_address(item.challenger),
        "since": stamp(item.opened_at_s),
        "until": stamp(item.deadline_s),
    }


def _slash_row(item: Slash) -> dict[str, Any]:
    return {
        "entry": "slash",
        "id": item.slash_id,
        "state": item.state.name.lower(),
        "against": f"{'member' if item.is_member else 'node'} {item.subject}",
        "epoch": item.epoch,
        "by": checksum_address(item.challenger),
        "since": stamp(item.queued_at_s),
        "until": stamp(item.executable_at_s),
    }


@court.command()
@click.argument("evidence", type=_FILE)
@chain_options
def check(session: Session, evidence: Path) -> None:
    """Say what an EVIDENCE file shows; exit 9 if it does not hold."""
    file = _load(evidence)
    lines = run(session, lambda: check_evidence(session.contracts, file))
    data = {"kind": file.kind, "shows": lines}
    emit("qnet.court.check/1", data, text="\n".join([f"{file.kind}: holds", *lines]))


@court.command("open")
@click.argument("evidence", type=_FILE)
@chain_options
@account_options
def open_(session: Session, evidence: Path) -> None:
    """Commit to the proof in EVIDENCE, with a bond that comes back when the proof holds."""

    async def work() -> None:
        contracts, file = session.contracts, _load(evidence)
        proof = provable(file)
        lines = await check_evidence(contracts, file)
        parameters = await contracts.parameters.all()
        bond_wei = parameters.challenge_bond_wei
        preview = [
            *lines,
            f"put down {format_qnet(bond_wei)} QNET of {checksum_address(session.account)}",
            (
                f"they come back with the proof, within {parameters.challenge_open_s} s:"
                f" qnet court prove {evidence}"
            ),
            "without a proof in time they are burned",
        ]
        await require_tokens(session, bond_wei)
        if settings().dry_run:
            say("\n".join(preview))
            return
        path = opening_path(evidence)
        opening = await find_opened(contracts, prepare(contracts, path, proof, session.account))
        if opening.challenge_id:
            opening.save(path)
            say(f"challenge {opening.challenge_id} was opened before: qnet court prove {evidence}")
            return
        if not await allow(session, contracts.court.address, bond_wei, "the court"):
            return
        call = contracts.court.open(bytes.fromhex(opening.commitment))

        def facts(result: TxReceipt) -> dict[str, Any]:
            made = contracts.court.only_event(result, "ChallengeOpened").arguments
            replace(opening, challenge_id=int(made["id"])).save(path)
            return {"challenge": int(made["id"]), "prove_until": stamp(int(made["deadline"]))}

        extra = {"kind": file.kind, "bond": amount(bond_wei)}
        await send(session, "qnet.court.open/1", call, preview, extra, facts=facts)

    run(session, work)


@court.command()
@click.argument("evidence", type=_FILE)
@chain_options
@account_options
def prove(session: Session, evidence: Path) -> None:
    """Show the proof in EVIDENCE to which your account committed; the bond comes back."""

    async def work() -> None:
        contracts, file = session.contracts, _load(evidence)
        proof, path = provable(file), opening_path(evidence)
        if not path.exists():
            raise ChallengeStateError(
                "no challenge was opened with this file", try_=(f"qnet court open {evidence}",)
            )
        opening = await find_opened(contracts, prepare(contracts, path, proof, session.account))
        challenge = await open_challenge(contracts, opening)
        lines = await check_evidence(contracts, file)
        number = challenge.challenge_id
        preview = [
            *lines,
            f"show it to the court as challenge {number}",
            f"{format_qnet(challenge.bond_wei)} QNET come back to {opening.challenger}",
        ]
        call = contracts.court.prove(number, bytes.fromhex(opening.salt), proof)
        await _await_later(session, challenge.opened_at_s, call)
        extra = {"challenge": number, "kind": file.kind}
        await send(
            session,
            "qnet.court.prove/1",
            call,
            preview,
            extra,
            facts=lambda result: _proven(contracts, result),
        )

    run(session, work)


async def _await_later(session: Session, opened_at_s: int, call: Call) -> None:
    """Wait while it is too early: a proof may not come in its challenge's second."""
    client = session.contracts.client
    for _ in range(LATER_LOOKS):  # a chain without traffic may make no block by itself
        if (await client.block("latest")).timestamp > opened_at_s:
            break
        await asyncio.sleep(POLL_S)
    while True:
        try:
            await client.call(call, at="pending", sender=session.account)
        except ContractError as error:
            if error.name != "TooEarly":
                raise
            await asyncio.sleep(POLL_S)
        else:
            return


def _proven(contracts: Contracts, result: TxReceipt) -> dict[str, Any]:
    """What a proof has caused."""
    told: dict[str, Any] = {
        "moot": contracts.court.only_event(result, "ChallengeProven").arguments["moot"]
    }
    for event in contracts.slasher.events(result, "SlashQueued"):
        told["slash"] = int(event.arguments["id"])
        told["executable"] = stamp(int(event.arguments["executableAt"]))
    for event in contracts.court.events(result, "ReportProvenWrong"):
        told["report"] = "0x" + event.arguments["hash"].hex()
        told["disabled"] = event.arguments["disabled"]
    return told


@court.command()
@click.argument("challenge", type=click.IntRange(1))
@chain_options
@account_options
def expire(session: Session, challenge: int) -> None:
    """Burn the bond of a CHALLENGE whose proof did not come in time. Anybody may."""

    async def work() -> None:
        contracts = session.contracts
        found = await contracts.court.challenge(challenge)
        preview = [
            f"end challenge {challenge} of {checksum_address(found.challenger)} without a proof",
            f"{format_qnet(found.bond_wei)} QNET of its bond are burned",
        ]
        extra = {"challenge": challenge, "burned": amount(found.bond_wei)}
        await send(
            session, "qnet.court.expire/1", contracts.court.expire(challenge), preview, extra
        )

    run(session, work)


@court.command()
@click.argument("evidence", type=_FILE)
@chain_options
@account_options
def charge(session: Session, evidence: Path) -> None:
    """Charge the signers of a report that was proven wrong. Anybody may."""

    async def work() -> None:
        contracts, file = session.contracts, _load(evidence)
        if not isinstance(file.evidence, ChargeEvidence):
            raise EvidenceFailsError(f"{evidence} is evidence of kind {file.kind}, not charge")
        lines = await check_evidence(contracts, file)
        preview = [*lines, "each of them loses its whole bond after the escrow"]
        call = contracts.court.charge(file.evidence)
        extra = {"epoch": file.evidence.epoch, "members": file.evidence.bitmap.bit_count()}
        await send(session, "qnet.court.charge/1", call, preview, extra)

    run(session, work)


@court.command()
@click.argument("evidence", type=_FILE)
@chain_options
@account_options
def jail(session: Session, evidence: Path) -> None:
    """Jail a node that performed badly for days. Anybody may; no bond, no reward."""

    async def work() -> None:
        contracts, file = session.contracts, _load(evidence)
        if not isinstance(file.evidence, JailEvidence):
            raise EvidenceFailsError(f"{evidence} is evidence of kind {file.kind}, not jail")
        lines = await check_evidence(contracts, file)
        term_s = await contracts.parameters.get("jail_s")
        preview = [*lines, f"it is jailed for {term_s} s and loses nothing"]
        call = contracts.court.jail(file.evidence)
        extra = {"node": file.evidence.leaves[0].leaf.node}
        await send(session, "qnet.court.jail/1", call, preview, extra)

    run(session, work)


for _command in (
    demands.demand,
    demands.answer,
    demands.expire_demand,
    slashes.execute,
    slashes.veto,
):
    court.add_command(_command)
