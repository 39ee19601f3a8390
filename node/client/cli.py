"""`qnet client`: route applications through the network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from qnet.cli.output import emit, say, warn
from qnet.cli.settings import settings
from qnet.errors import ConfigError, NetworkError

DEFAULT_HOME = Path.home() / ".qnet" / "client"


@click.group()
def client() -> None:
    """Route applications through the network."""


def client_home() -> Path:
    """The home the command works on."""
    return settings().home or DEFAULT_HOME


@client.command()
@click.option("--bundle", type=click.Path(path_type=Path), help="network.json of the network.")
@click.option("--listen", default="", help="SOCKS5 address and port [127.0.0.1:9150].")
@click.option("--foreground", is_flag=True, help="Stay in this terminal until interrupted.")
@click.option("--log-level", default="info", show_default=True)
def up(bundle: Path | None, listen: str, log_level: str, *, foreground: bool) -> None:
    """Come up: consensus, guards, circuits, SOCKS port; says which stage failed and why."""
    home = client_home()
    _configure(home, bundle, listen)
    if foreground:
        from node.client.app import run_client

        run_client(home, timeout_s=settings().timeout, log_level=log_level)
        return
    say("coming up: consensus, circuit, SOCKS port")
    _show("qnet.client.up/1", _start(home, log_level))


@client.command()
def status() -> None:
    """Show what the running client does."""
    _show("qnet.client.status/1", _ask("status"))


@client.command()
def circuits() -> None:
    """Show the open circuits and their paths."""
    rows = _ask("circuits")
    shown = [
        {**row, "path": " > ".join(map(str, row["path"])), "roles": " > ".join(row["roles"])}
        for row in rows
    ]
    emit("qnet.client.circuits/1", rows, rows=shown)


@client.command()
def rekey() -> None:
    """Give every open circuit fresh keys now."""
    emit("qnet.client.rekey/1", _ask("rekey"))


@client.command()
def down() -> None:
    """Stop the running client."""
    emit("qnet.client.down/1", _ask("down"))


def _show(schema: str, facts: dict[str, Any]) -> None:
    """Print the facts, and what there is to warn about."""
    emit(schema, facts)
    if facts["warning"]:
        warn(facts["warning"])


def _ask(command: str) -> Any:
    from node.io.control import call_blocking

    return call_blocking(client_home() / "control.sock", command, timeout_s=settings().timeout)


def _configure(home: Path, bundle: Path | None, listen: str) -> None:
    """Write client.toml from the options, or keep the one there is."""
    path = home / "client.toml"
    if bundle is None and not listen:
        if not path.exists():
            raise ConfigError(f"no {path}", try_=("qnet client up --bundle network.json",))
        return
    if bundle is None:
        raise ConfigError("--listen needs --bundle too")
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = f"[network]\nbundle = {json.dumps(str(bundle.absolute()))}\n"
    if listen:
        text += f"\n[socks]\nlisten = {json.dumps(listen)}\n"
    path.write_text(text)


def _start(home: Path, log_level: str) -> dict[str, Any]:
    """Start the client in the background and wait until it is up or says why not."""
    (home / "logs").mkdir(parents=True, exist_ok=True)
    errors = home / "logs" / "start.err"
    arguments = ["--home", str(home), "--json", "--timeout", str(settings().timeout)]
    command = [sys.executable, "-m", "node.client", *arguments, "--log-level", log_level]
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
        )
        assert process.stdout is not None
        with process.stdout:
            line = process.stdout.readline().decode()
    if line.startswith("READY "):
        facts: dict[str, Any] = json.loads(line.removeprefix("READY "))
        return {**facts, "pid": process.pid}
    process.wait(10)
    raise _start_error(errors.read_text(errors="replace"))


def _start_error(text: str) -> NetworkError:
    """The error the background process printed, as our own."""
    from node.io.control import RemoteControlError

    for line in text.splitlines():
        try:
            fields = json.loads(line)["error"]
        except (ValueError, KeyError, TypeError):
            continue
        raise RemoteControlError(fields)
    return NetworkError("the client did not come up", why=text.strip()[-300:])
