"""`qnet node policy`: read, try and compare exit policies, and write an exit's notice page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qnet.cli.output import emit, say
from qnet.errors import UsageError

if TYPE_CHECKING:
    from node.config import NodeConfig
    from node.exit.policy import ExitPolicy

_NO = 1
_OWN = "node"
_EPILOG = (
    "POLICY is a preset (web, reduced, open, none), rules, @FILE with rules, or the word node for "
    "the policy in node.toml of --home."
)


@dataclass(frozen=True, slots=True)
class Tried:
    """What a policy says about one destination of the command line.

    Attributes:
        destination: As it was given.
        verdict: accept, refuse or depends (on the address a name has).
        line: Line of the rule that decided, or None.
        rule: That rule.
        why: The reason in words.
    """

    destination: str
    verdict: str
    line: int | None
    rule: str | None
    why: str


@click.group()
def policy() -> None:
    """Read, try and compare exit policies."""


@policy.command(epilog=_EPILOG)
@click.argument("text", metavar="[POLICY]", default=_OWN)
def show(text: str) -> None:
    """Show a policy in its canonical form, in short, and rules that never decide."""
    from node.exit.difference import idle_rules
    from node.exit.ports import format_ports

    read = read_policy(text)
    idle = idle_rules(read)
    rows = [
        {
            "line": rule.line,
            "rule": str(rule),
            "decides": "never" if any(rule is other for other in idle) else "yes",
        }
        for rule in read.rules
    ]
    data = {
        "canonical": read.canonical(),
        "summary": read.summary(),
        "usual_ports": format_ports(read.usual_ports()),
        "is_exit": read.is_exit,
        "allow_private": read.allow_private,
        "rules": rows,
    }
    lines = [f"in short   {data['summary']}", f"canonical  {data['canonical']}", ""]
    lines += [f"{row['line']:>4}  {row['rule']}{_idle(row)}" for row in rows]
    emit("qnet.node.policy.show/1", data, text="\n".join(lines))


def _idle(row: dict[str, Any]) -> str:
    return "    (never decides)" if row["decides"] == "never" else ""


@policy.command(epilog=_EPILOG)
@click.argument("text", metavar="POLICY")
@click.argument("destinations", metavar="DEST...", nargs=-1, required=True)
def test(text: str, destinations: Sequence[str]) -> int:
    """Say whether destinations are accepted, and which rule decides; exit 1 when one is refused.

    DEST is address:port, [IPv6]:port or name:port. A name is not looked up: where its address
    decides, the answer is `depends`.
    """
    read = read_policy(text)
    tried = [try_destination(read, destination) for destination in destinations]
    rows = [asdict(entry) for entry in tried]
    emit("qnet.node.policy.test/1", rows, rows=rows)
    return _NO if any(entry.verdict == "refuse" for entry in tried) else 0


@policy.command(epilog=_EPILOG)
@click.argument("old", metavar="POLICY-A")
@click.argument("new", metavar="POLICY-B")
def diff(old: str, new: str) -> int:
    """Say what B allows or refuses that A does not, over every address and port.

    Exit 0 when they agree everywhere, 1 when they differ.
    """
    from node.exit.difference import difference

    changes = difference(read_policy(old), read_policy(new))
    rows = [change.as_row() for change in changes]
    data = {
        "equal": not changes,
        "changes": [
            row
            | {
                "first": str(change.first),
                "last": str(change.last),
                "port_ranges": [list(ports) for ports in change.ports],
            }
            for row, change in zip(rows, changes, strict=True)
        ],
    }
    if changes:
        emit("qnet.node.policy.diff/1", data, rows=rows)
    else:
        text = "the policies decide the same for every address and port"
        emit("qnet.node.policy.diff/1", data, rows=[], text=text)
    return _NO if changes else 0


@policy.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
def notice(out: Path) -> None:
    """Write the notice page of the node of --home: its operator, contact and policy."""
    from node.exit.notice import configured_notice
    from node.exit.service import configured_policy
    from qnet.files import write_atomic

    config = _config()
    page = configured_notice(config, configured_policy(config)).html().encode()
    write_atomic(out, page, mode=0o644)
    if not config.exit.contact:
        say('no contact is given: set [exit] contact = "…" in node.toml')
    emit("qnet.node.policy.notice/1", {"out": str(out), "bytes": len(page)})


def read_policy(text: str) -> ExitPolicy:
    """The policy an argument names.

    Raises:
        ExitPolicyError: It cannot be read; names line and remedy.
        UsageError: There is no such file.
    """
    from node.exit.policy import ExitPolicy
    from node.exit.rules import MAX_TEXT_BYTES
    from node.exit.service import configured_policy

    if text == _OWN:
        return configured_policy(_config())
    if text.startswith("@"):
        path = Path(text[1:])
        try:
            with path.open("rb") as file:
                text = file.read(MAX_TEXT_BYTES + 1).decode("utf-8", "replace")
        except OSError as error:
            raise UsageError(f"cannot read {path}", why=error.strerror or "") from error
    return ExitPolicy.parse(text)


def try_destination(read: ExitPolicy, destination: str) -> Tried:
    """What a policy says about `host:port`.

    Raises:
        UsageError: It is no destination.
    """
    from node.config import Endpoint
    from node.errors import ResolveError
    from node.exit.address import checked_name, parse_address

    try:
        where = Endpoint.parse(destination)
    except ValueError as error:
        raise UsageError(str(error), try_=("write 192.0.2.1:443 or [2001:db8::1]:443",)) from error
    address = parse_address(where.host)
    if address is not None:
        verdict = read.judge(address, where.port)
        rule = verdict.rule
        return Tried(
            destination,
            "accept" if verdict.refusal is None else "refuse",
            rule.line if rule else None,
            str(rule) if rule else None,
            verdict.why,
        )
    try:
        name = checked_name(where.host)
    except ResolveError as error:
        return Tried(destination, "refuse", None, None, f"not a host name: {error.why}")
    return _try_name(read, destination, name, where.port)


def _try_name(read: ExitPolicy, destination: str, name: str, port: int) -> Tried:
    from node.exit.difference import answers_on

    answers = answers_on(read, port)
    if len(answers) > 1:
        return Tried(destination, "depends", None, None, f"on the address {name} has")
    if True in answers:
        why = f"every public address on port {port} is accepted"
        return Tried(destination, "accept", None, None, why)
    return Tried(destination, "refuse", None, None, f"no address is accepted on port {port}")


def _config() -> NodeConfig:
    from node.cli import node_home
    from node.config import NodeConfig
    from qnet.config import load_toml

    return load_toml(node_home() / "node.toml", NodeConfig)
