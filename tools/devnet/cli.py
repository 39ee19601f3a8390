"""`qnet devnet`: a whole network on this machine."""

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import click

from qnet.cli.output import emit, say, use_color
from qnet.cli.settings import settings
from qnet.units import format_qnet, parse_qnet
from tools.devnet import state as states
from tools.devnet.config import DevnetConfig, free_home, state_root
from tools.devnet.network import stop_network
from tools.devnet.processes import log_tail

FOLLOW_S = 0.2
EXIT_UNHEALTHY = 1


@click.group()
def devnet() -> None:
    """A whole network on this machine: chain, committee, nodes, client, names."""


def _socks_port(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    host, _, port = value.rpartition(":")
    if host not in {"", "127.0.0.1"} or not port.isdigit() or not 0 < int(port) < 65536:
        raise click.BadParameter("write 127.0.0.1:PORT")
    return int(port)


_PORT = click.IntRange(1, 65535)


@devnet.command()
@click.option("--nodes", default=11, show_default=True, help="Number of nodes.")
@click.option("--committee", default=4, show_default=True, help="Number of committee members.")
@click.option("--seed", default=7, show_default=True, help="Shapes the topology, never keys.")
@click.option(
    "--socks",
    default="127.0.0.1:19150",
    show_default=True,
    callback=_socks_port,
    help="Where the client listens.",
)
@click.option("--chain-port", type=_PORT, default=18545, show_default=True)
@click.option("--ledger-port", type=_PORT, default=18701, show_default=True)
@click.option("--dns-port", type=_PORT, default=18553, show_default=True)
@click.option("--web-port", type=_PORT, default=18080, show_default=True)
@click.option("--node-port", type=_PORT, default=4430, show_default=True)
@click.option(
    "--until",
    type=click.Choice(["chain", "committee", "nodes", "client"]),
    default="client",
    show_default=True,
    help="Last stage to start.",
)
def up(
    nodes: int,
    committee: int,
    seed: int,
    socks: int,
    chain_port: int,
    ledger_port: int,
    dns_port: int,
    web_port: int,
    node_port: int,
    until: str,
) -> None:
    """Start a network and leave it running.

    Without --home a new folder is taken, so earlier networks keep their keys and logs.
    """
    from tools.devnet.progress import Progress
    from tools.devnet.up import bring_up

    home = settings().home or free_home(state_root())
    config = DevnetConfig(
        home=home.resolve(),
        nodes=nodes,
        committee=committee,
        seed=seed,
        chain_port=chain_port,
        ledger_port=ledger_port,
        dns_port=dns_port,
        socks_port=socks,
        web_port=web_port,
        node_port=node_port,
    )
    progress = Progress(quiet=settings().quiet, color=use_color(sys.stderr))
    state = asyncio.run(bring_up(config, progress, until=until))
    emit("qnet.devnet.up/1", _summary(state), text=_what_next(state))


def _summary(state: states.State) -> dict[str, Any]:
    config = state.config
    return {
        "home": str(config.home),
        "rpc": config.rpc,
        "socks": f"socks5h://127.0.0.1:{config.socks_port}",
        "stage": state.stage,
        "nodes": len(state.nodes),
        "committee": len(state.members),
        "processes": len(state.processes),
    }


def _what_next(state: states.State) -> str:
    config = state.config
    lines = [f"{len(state.processes)} programs run; home {config.home}", ""]
    if state.stage == "client":
        lines.append(
            f"curl --socks5-hostname 127.0.0.1:{config.socks_port} "
            f"http://web.devnet:{config.web_port}/"
        )
    where = f" --home {config.home}"
    lines += [f"qnet devnet {verb}{where}" for verb in ("status", "logs client", "down")]
    lines.append(f'eval "$(qnet devnet env{where})"')
    return "\n".join(lines)


@devnet.command()
def status() -> int:
    """Show every program of the network; exit 1 when one is not healthy."""
    from tools.devnet.inspect import inspect

    state = states.load(states.find_home(settings().home))
    found = inspect(state)
    rows = [item.row() for item in found]
    healthy = bool(found) and all(item.healthy for item in found)
    data = {**_summary(state), "healthy": healthy, "programs": rows}
    say(f"home {state.config.home}, started {state.started_at}, stage {state.stage}")
    emit("qnet.devnet.status/1", data, rows=rows)
    return 0 if healthy else EXIT_UNHEALTHY


@devnet.command()
def down() -> None:
    """Stop every program of the network; its folder stays."""
    home = states.find_home(settings().home)
    states.load(home)  # says so when there is no network
    with states.locked(home):
        state = states.load(home)
        running = [process for process in state.processes if process.alive]
        killed = stop_network(state)
    data = {"home": str(home), "stopped": len(running), "killed": killed}
    words = f"stopped {len(running)} programs of {home}"
    if killed:
        words += f"; had to kill {', '.join(killed)}"
    emit("qnet.devnet.down/1", data, text=words)


@devnet.command()
@click.argument("name", required=False)
@click.option("-f", "--follow", is_flag=True, help="Keep printing new lines until interrupted.")
@click.option("-n", "--lines", default=40, show_default=True, help="Lines of the past.")
def logs(name: str | None, follow: bool, lines: int) -> None:  # noqa: FBT001 - click's signature
    """Print the last log lines of one program, or of all of them."""
    state = states.load(states.find_home(settings().home))
    chosen = [state.process(name)] if name else list(state.processes)
    for process in chosen:
        for file in _log_files(state, process.name):
            prefix = "" if name else f"{process.name}  "
            for line in log_tail(file, lines=lines if name else min(lines, 5)):
                click.echo(prefix + line)
    if follow:
        files = {p.name: _log_files(state, p.name) for p in chosen}
        for source, line in _follow(files):
            click.echo(line if name else f"{source}  {line}")


def _log_files(state: states.State, name: str) -> list[Path]:
    """What a program printed, then its own log files."""
    process = state.process(name)
    own = sorted((state.config.home / name / "logs").glob("*.log"))
    return [Path(process.out), Path(process.err), *own]


def _follow(files: dict[str, list[Path]]) -> Iterator[tuple[str, str]]:
    streams: list[tuple[str, TextIO]] = []
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for name, paths in files.items():
        for path in paths:
            if path.exists():
                stream: TextIO = path.open("r", encoding="utf-8", errors="replace")
                stream.seek(0, 2)
                streams.append((name, stream))
    while True:
        quiet = True
        for name, stream in streams:
            for line in stream.readlines():
                quiet = False
                yield name, line.rstrip("\n")
        if quiet:
            time.sleep(FOLLOW_S)


@devnet.command()
@click.argument("address")
@click.option("--tokens", default="1000", show_default=True, help="QNET to give.")
@click.option("--coins", default="1", show_default=True, help="The chain's own coins for fees.")
def faucet(address: str, tokens: str, coins: str) -> None:
    """Give ADDRESS tokens and the means to pay fees (an account name works too)."""
    from tools.devnet.faucet import give

    state = states.load(states.find_home(settings().home))
    tokens_wei, coins_wei = parse_qnet(tokens), parse_qnet(coins)
    target, tx = asyncio.run(give(state, address, tokens_wei=tokens_wei, coins_wei=coins_wei))
    data = {"to": target, "tokens": {"amount": format_qnet(tokens_wei), "unit": "QNET"}, "tx": tx}
    emit(
        "qnet.devnet.faucet/1", data, text=f"sent {format_qnet(tokens_wei)} QNET to {target}: {tx}"
    )


@devnet.command()
def env() -> None:
    """Print variables for a shell: eval "$(qnet devnet env)"."""
    state = states.load(states.find_home(settings().home))
    config = state.config
    proxy = f"socks5h://127.0.0.1:{config.socks_port}"
    values = {
        "ALL_PROXY": proxy,
        "all_proxy": proxy,
        "QNET_RPC": config.rpc,
        "QNET_DEPLOYMENT": str(config.deployment),
        "QNET_NETWORK": str(config.network),
        "QNET_HOME": str(config.client_home),
        "QNET_ACCOUNT": state.account("alice").keystore,
        "QNET_PASSPHRASE_FILE": str(config.passphrase_file),
    }
    lines = [f"export {name}='{value}'" for name, value in values.items()]
    emit("qnet.devnet.env/1", values, text="\n".join(lines))
