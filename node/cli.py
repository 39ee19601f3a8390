"""`qnet node`: set up, run and inspect a node."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from node.earnings_cli import earnings, redeem
from node.policy_cli import policy
from qnet.cli.output import emit, say
from qnet.cli.settings import settings

DEFAULT_HOME = Path.home() / ".qnet" / "node"


@click.group()
def node() -> None:
    """Run an entry, relay, mix or exit."""


node.add_command(policy)
node.add_command(earnings)
node.add_command(redeem)


def node_home() -> Path:
    """The home the command works on."""
    return settings().home or DEFAULT_HOME


@node.command()
@click.option("--role", type=click.Choice(["entry", "relay", "mix", "exit"]), required=True)
@click.option("--listen", required=True, help="Address and port to listen on.")
@click.option("--advertise", default="", help="Address and port others dial, if another.")
@click.option("--sni", required=True, help="Host name of the node's web site.")
@click.option("--family", default="", help="Name shared by all nodes of one operator.")
@click.option("--rpc", default="", help="JSON-RPC address of the chain.")
@click.option("--deployment", type=click.Path(path_type=Path), help="deployment.json.")
@click.option("--bundle", type=click.Path(path_type=Path), help="network.json, without a chain.")
@click.option("--index", type=int, default=0, help="Registry index, without a chain.")
@click.option("--owner", default="", help="Operator's address, without a chain.")
@click.option("--ledger", "members", multiple=True, help="A committee member's URL; repeat.")
@click.option("--policy", default="", help="Exit policy: web, reduced, open, none or rules.")
@click.option("--dns", default="", help="DNS servers an exit asks: address:port, commas between.")
@click.option("--outbound", multiple=True, help="Address an exit connects from; repeat for IPv6.")
@click.option("--operator", default="", help="Who runs the exit, for its notice page.")
@click.option("--contact", default="", help="How to reach them, for its notice page.")
@click.option("--allow-private", is_flag=True, help="Exit to private addresses (devnet).")
@click.option("--metrics", default="", help="Address and port of Prometheus metrics.")
@click.option("--mbps", type=click.IntRange(1, 10**6), default=100, help="Rate offered [100].")
@click.option("--rate-kbps", type=click.IntRange(0, 10**9), default=0, help="Most it sends [any].")
@click.option("--price", type=click.IntRange(0, 255), default=0, help="Units a MiB [0: free].")
@click.option("--passphrase-file", type=click.Path(path_type=Path), required=True)
@click.option("--light-kdf", is_flag=True, help="Weak keystore cost, for development networks.")
def init(**options: Any) -> None:
    """Make keys and node.toml of a new node."""
    from node.setup import NodePlan, init_node

    home = node_home()
    made = init_node(home, NodePlan(**options), now=int(time.time()))
    say(f"node home {home}; back up its keys folder now")
    emit("qnet.node.init/1", made)


@node.command()
@click.option("--log-level", default="info", show_default=True)
def run(log_level: str) -> None:
    """Run the node until SIGTERM."""
    from node.app import run_node

    run_node(node_home(), log_level=log_level)


@node.command()
@click.option("--bundle", type=click.Path(path_type=Path), required=True, help="network.json.")
@click.option("--ledger", "url", required=True, help="URL of the committee member it works for.")
@click.option("--token-file", type=click.Path(path_type=Path), required=True)
@click.option("--log-level", default="info", show_default=True)
def auditor(bundle: Path, url: str, token_file: Path, log_level: str) -> None:
    """Probe nodes for a committee member until SIGTERM."""
    from node.prober.app import run_auditor

    run_auditor(node_home(), bundle=bundle, url=url, token_file=token_file, log_level=log_level)


@node.command()
def status() -> None:
    """Show what the running node does."""
    from node.io.control import call_blocking

    data = call_blocking(node_home() / "control.sock", "status", timeout_s=settings().timeout)
    emit("qnet.node.status/1", data)


@node.command()
def stop() -> None:
    """Stop the running node gracefully."""
    from node.io.control import call_blocking

    data = call_blocking(node_home() / "control.sock", "stop", timeout_s=settings().timeout)
    emit("qnet.node.stop/1", data)
