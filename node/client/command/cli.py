"""`qnet client`: route applications through the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from node.client.command import launch
from node.client.command.ask import ask, client_home
from node.config import Tier
from qnet.cli.output import emit, say, warn
from qnet.cli.settings import settings

_FAILED = 1


@click.group()
def client() -> None:
    """Route applications through the network."""


for _command in (launch.run, launch.env, launch.pac, launch.connect):
    client.add_command(_command)


@client.command()
@click.option("--bundle", type=click.Path(path_type=Path), help="network.json of the network.")
@click.option("--listen", default="", help="SOCKS5 address and port [127.0.0.1:9150].")
@click.option("--http", default="", help="HTTP proxy address and port [127.0.0.1:9151].")
@click.option("--dns", default="", help="DNS address and port; none unless named.")
@click.option(
    "--tier",
    type=click.Choice(["circuits", "mix"]),
    help="What streams take: fast circuits, or the mixnet [as client.toml says].",
)
@click.option("--messages", is_flag=True, help="Carry messages (qnet msg), now and later.")
@click.option("--foreground", is_flag=True, help="Stay in this terminal until interrupted.")
@click.option("--log-level", default="info", show_default=True)
@click.option("--announce", is_flag=True, hidden=True)
def up(
    bundle: Path | None,
    listen: str,
    http: str,
    dns: str,
    tier: Tier | None,
    log_level: str,
    *,
    messages: bool,
    foreground: bool,
    announce: bool,
) -> None:
    """Come up: consensus, guards, circuits, ports; says which stage failed and why."""
    from node.client.command.screens import stage_words
    from node.client.command.starting import configure, start, want_messages

    home = client_home()
    configure(home, bundle, {"socks": listen, "http": http, "dns": dns})
    if messages:
        want_messages(home)
    if foreground or announce:
        from node.client.app import run_client
        from node.client.command.reporting import announce_stage, print_stage

        tell = announce_stage if announce else print_stage
        run_client(home, tier=tier, timeout_s=settings().timeout, log_level=log_level, tell=tell)
        return
    say("coming up")
    facts = start(
        home,
        tier=tier,
        timeout_s=settings().timeout,
        log_level=log_level,
        tell=lambda row: say(stage_words(row)),
    )
    _show("qnet.client.up/1", facts)
    if facts["socks"]:
        say(f"use it: curl -x socks5h://{facts['socks']} … or: qnet client run curl …")


@client.command()
def down() -> None:
    """Stop the running client."""
    emit("qnet.client.down/1", ask("down"))


@client.command()
def status() -> int:
    """Show the stages, guards, circuits, streams and ports; exit 1 when it is not up."""
    from node.client.command.screens import status_text

    facts = ask("status")
    _show("qnet.client.status/1", facts, text=status_text(facts))
    return 0 if facts["state"] == "up" else _FAILED


@client.command()
def circuits() -> None:
    """Show the open circuits, their paths and what was measured of them."""
    from node.client.command.screens import circuit_rows

    rows = ask("circuits")
    emit("qnet.client.circuits/1", rows, rows=circuit_rows(rows))


@client.command()
def new() -> None:
    """Take a new identity: fresh circuits for all that follows; open streams go on."""
    emit("qnet.client.new/1", ask("new"))


@client.command()
def rekey() -> None:
    """Give every open circuit fresh keys now."""
    emit("qnet.client.rekey/1", ask("rekey"))


@client.command()
@click.option("--port", type=click.IntRange(0, 65_535), default=443, show_default=True)
@click.option("--country", default="", help="Two letters; needs a table in client.toml.")
def exits(port: int, country: str) -> int:
    """List the exits: country, policy, share of the streams; exit 1 when none admits the port."""
    from node.client.command.screens import exit_rows

    found = ask("exits", port=port, country=country.upper())
    emit("qnet.client.exits/1", found, rows=exit_rows(found["exits"]))
    _warn(found)
    return 0 if any(row["admits_port"] for row in found["exits"]) else _FAILED


@client.command()
@click.option("--url", default="", help="An http:// page that tells the address it sees.")
def check(url: str) -> int:
    """Test for leaks, the circuit, names and the clock; exit 1 when something fails."""
    found = ask("check", url=url)
    emit("qnet.client.check/1", found, rows=found["rows"])
    return _FAILED if found["verdict"] == "fail" else 0


@client.command()
@click.option("--url", default="", help="Download this instead of the exit's own random bytes.")
@click.option("--mib", type=click.IntRange(1, 1_024), default=8, show_default=True)
def speed(url: str, mib: int) -> int:
    """Measure building a circuit, the round trip to each hop, and goodput."""
    from node.client.command.screens import speed_rows

    within_s = max(1, round(settings().timeout / 2))
    size = 0 if url else mib * 2**20
    found: dict[str, Any] = ask("speed", size=size, within_s=within_s)
    if url:
        found |= launch.measure_url(url, mib * 2**20)
    emit("qnet.client.speed/1", found, rows=speed_rows(found))
    if found["problem"]:
        warn(f"goodput was not measured: {found['problem']}")
    return 0 if found["goodput_bytes_s"] else _FAILED


def _show(schema: str, facts: dict[str, Any], *, text: str | None = None) -> None:
    """Print the facts, and what there is to warn about."""
    emit(schema, facts, text=text)
    _warn(facts)


def _warn(facts: dict[str, Any]) -> None:
    for warning in (facts["warning"], *facts.get("warnings", ())):
        if warning:
            warn(warning)
