"""`qnet client run|env|pac|connect`: applications through the ports of a running client."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import click

from node.client.command.ask import ask
from node.client.command.surroundings import Shell, Ways, proxy_variables, shell_lines
from node.config import Endpoint
from node.errors import Stage, StageError
from qnet.cli.output import emit, warn
from qnet.errors import UsageError

MAX_LABEL_BYTES = 255
_SHELLS = click.Choice(["sh", "fish", "powershell"])
_isolate = click.option(
    "--isolate", "label", default="", help="Share circuits only with programs of this label."
)


@click.command(context_settings={"allow_interspersed_args": False})
@_isolate
@click.option("--strict", is_flag=True, help="Linux: let the program reach nothing else.")
@click.argument("command", nargs=-1, required=True)
def run(label: str, command: tuple[str, ...], *, strict: bool) -> int:
    """Run a program through the network, as in: qnet client run curl https://example.org/ .

    Without --isolate the program gets circuits that no other program uses. It must itself honour
    the proxy variables unless --strict is given. The exit code is the program's.
    """
    from node.client.command.run import become, run_enclosed

    ways, _ = _ways()
    variables = proxy_variables(ways, _label(label) or f"run-{secrets.token_hex(8)}")
    return run_enclosed(command, variables, ways) if strict else become(command, variables)


@click.command()
@_isolate
@click.option("--shell", type=_SHELLS, default="sh", show_default=True)
def env(label: str, shell: Shell) -> None:
    """Print the lines that send a shell's programs through the network.

    In sh: eval "$(qnet client env)"; in fish: qnet client env --shell fish | source
    """
    ways, _ = _ways()
    variables = proxy_variables(ways, _label(label))
    emit("qnet.client.env/1", variables, text=shell_lines(variables, shell).rstrip("\n"))


@click.command()
@click.option("--url", "wants_url", is_flag=True, help="Print where browsers can fetch it.")
def pac(*, wants_url: bool) -> None:
    """Print the proxy auto-configuration file for browsers."""
    from node.client.doors.http_connect import PAC_PATH

    ways, text = _ways()
    url = f"http://{ways.http}{PAC_PATH}" if ways.http else ""
    if wants_url and not url:
        why = "the file is served by the HTTP proxy port, and client.toml names no [http]"
        raise StageError(Stage.PORTS, "the PAC file is not served", why=why)
    emit("qnet.client.pac/1", {"url": url, "pac": text}, text=url if wants_url else text.rstrip())


@click.command()
@_isolate
@click.argument("host")
@click.argument("port", type=click.IntRange(1, 65_535))
def connect(label: str, host: str, port: int) -> None:
    """Join stdin and stdout to a destination: ssh -o ProxyCommand='qnet client connect %h %p'."""
    from node.client.command.proxied import join_standard_streams

    chosen = _label(label).encode()
    asyncio.run(join_standard_streams(_socks(), host, port, label=chosen))


def measure_url(url: str, max_bytes: int) -> dict[str, Any]:
    """First byte and goodput of a download through the SOCKS port, on circuits of its own.

    Raises:
        StageError: No connection, or no answer.
    """
    from node.client.command.proxied import fetch

    label = secrets.token_hex(8).encode()
    fetched = asyncio.run(fetch(_socks(), url, label=label, max_bytes=max_bytes))
    return {
        "url": url,
        "http_status": fetched.status,
        "bytes": fetched.size,
        "first_byte_ms": round(fetched.first_byte_s * 1000, 1),
        "goodput_bytes_s": round(fetched.size / max(fetched.total_s, 1e-6)),
    }


def _socks() -> Endpoint:
    ways, _ = _ways()
    if not ways.socks:
        raise StageError(Stage.PORTS, "the client has no SOCKS port")
    return Endpoint.parse(ways.socks)


def _ways() -> tuple[Ways, str]:
    """The ports of the running client, and its PAC file; warns about what outsiders can use."""
    doors: dict[str, Any] = ask("doors")
    for warning in doors["warnings"]:
        warn(warning)
    first = {kind: next(iter(doors[kind]), "") for kind in ("socks", "http")}
    return Ways(first["socks"], first["http"]), doors["pac"]


def _label(label: str) -> str:
    if len(label.encode()) > MAX_LABEL_BYTES or ":" in label:
        raise UsageError(f"--isolate takes up to {MAX_LABEL_BYTES} bytes without a colon")
    return label
