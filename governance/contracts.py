"""`qnet gov contracts`: which contracts the holders own, and whether they are the right ones."""

from typing import Any

import click

from governance.errors import ContractsDifferError
from governance.session import Session, chain_options, run
from governance.verification import Finding, implementation_of, verify_contracts
from qnet.address import checksum_address
from qnet.chain.layout import OWNED, PROXIED
from qnet.cli.output import emit
from qnet.cli.settings import settings


@click.group()
def contracts() -> None:
    """Look at the contracts themselves."""


@contracts.command("list")
@chain_options
def list_(session: Session) -> None:
    """List every contract with its address, its kind and the code behind it."""

    async def work() -> list[dict[str, Any]]:
        rows = []
        for contract in session.contracts.all():
            name = contract.NAME
            deployed = session.contracts.deployment.contracts[name]
            proxied = name in PROXIED
            code = await implementation_of(session.contracts, contract) if proxied else b""
            rows.append(
                {
                    "contract": name,
                    "address": checksum_address(deployed.address),
                    "kind": "proxy" if proxied else "immutable",
                    "owner": "QNetTimelock" if name in OWNED else "nobody",
                    "implementation": checksum_address(code) if proxied else "",
                    "code_hash": "0x" + deployed.code_hash.hex(),
                }
            )
        return rows

    rows = run(session, work)
    emit("qnet.gov.contracts.list/1", rows, rows=rows)


@contracts.command()
@click.option("--all", "everything", is_flag=True, help="Show what agrees, too.")
@chain_options
def verify(session: Session, everything: bool) -> None:  # noqa: FBT001 - click's signature
    """Compare every contract with the manifest and with this program; exit 1 if one differs."""
    session.checked = False  # a difference is a row here, not an error

    async def work() -> list[Finding]:
        return [finding async for finding in verify_contracts(session.contracts)]

    findings = run(session, work)
    differ = [finding for finding in findings if not finding.ok]
    shown = findings if everything or settings().json else differ
    rows = [
        {
            "contract": finding.contract,
            "subject": finding.subject,
            "expected": finding.expected,
            "found": finding.found,
            "ok": "yes" if finding.ok else "NO",
        }
        for finding in shown
    ]
    data = {"verified": not differ, "compared": len(findings), "rows": rows}
    text = None if rows else f"{len(findings)} comparisons, all agree"
    emit("qnet.gov.contracts.verify/1", data, rows=rows, text=text)
    if differ:
        first = differ[0]
        raise ContractsDifferError(
            f"{len(differ)} of {len(findings)} comparisons differ",
            why=f"{first.contract}: {first.subject} is {first.found}, not {first.expected}",
        )
