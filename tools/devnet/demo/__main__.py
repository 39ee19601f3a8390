"""`python -m tools.devnet.demo`: bring a network up, check every promise, print the table."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from qnet.cli.output import show_error
from qnet.errors import QnetError
from tools.devnet.config import DevnetConfig, free_home, move_to_free_ports, state_root
from tools.devnet.demo.bonds import show_bonds
from tools.devnet.demo.context import Demo
from tools.devnet.demo.delegation import delegate_to_a_relay, show_shared_earnings
from tools.devnet.demo.doors import show_doors
from tools.devnet.demo.earnings import show_earnings
from tools.devnet.demo.exodus import pay_again, show_exodus
from tools.devnet.demo.files import fill_site, keep_traffic_flowing, show_transfer
from tools.devnet.demo.journal import Journal
from tools.devnet.demo.mixnet import show_mixnet
from tools.devnet.demo.premium import (
    follow_spending,
    show_paid_transfer,
    show_payouts,
    stock_up,
)
from tools.devnet.demo.slash import carry_out_the_slash, catch_a_cheat
from tools.devnet.demo.streams import show_obedience
from tools.devnet.demo.vote import change_a_parameter
from tools.devnet.demo.watch import show_keys, watching
from tools.devnet.network import stop_network
from tools.devnet.progress import Progress
from tools.devnet.state import load
from tools.devnet.topology import plan
from tools.devnet.up import bring_up

EXIT_FAILED = 1


async def _run(config: DevnetConfig, journal: Journal, until: str) -> None:
    with journal.step("network"):
        state = await bring_up(config, Progress(), until=until)
        journal.verified(
            f"{len(state.processes)} programs run, each with keys of its own",
            f"{journal.elapsed_s:.0f} s",
        )
    demo = Demo(state, journal)
    await show_bonds(demo)
    delegation = await delegate_to_a_relay(demo)
    culprit = await catch_a_cheat(demo)
    if until == "chain":
        await change_a_parameter(demo)
        await carry_out_the_slash(demo, culprit)
        return
    site = await fill_site(demo)
    async with watching(demo) as watch:
        await show_transfer(demo, site, watch)
        await show_doors(demo, site)
        await show_mixnet(demo, site)
        premium = await stock_up(demo)
        async with asyncio.TaskGroup() as group:
            books = group.create_task(follow_spending(premium, demo))
            traffic = group.create_task(keep_traffic_flowing(demo, site))
            await show_paid_transfer(demo, site, premium)
            await change_a_parameter(demo)
            await show_obedience(demo)
            await show_keys(demo, watch)
            await carry_out_the_slash(demo, culprit)
            traffic.cancel()
            await show_earnings(demo)
            await show_shared_earnings(demo, delegation)
            await show_payouts(demo, premium)
            await pay_again(demo, site, premium)
            books.cancel()
    await show_exodus(demo, premium)


@click.command()
@click.option("--keep", is_flag=True, help="Leave the network up and say what to try.")
@click.option("--home", type=click.Path(path_type=Path), help="Folder of the network.")
@click.option("--nodes", default=11, show_default=True)
@click.option("--committee", default=4, show_default=True)
@click.option("--seed", default=7, show_default=True)
@click.option("--until", default="client", type=click.Choice(["chain", "client"]))
def main(  # noqa: D103 - the module's docstring says it
    keep: bool,  # noqa: FBT001 - click's signature
    home: Path | None,
    nodes: int,
    committee: int,
    seed: int,
    until: str,
) -> None:
    console = Console(stderr=True)
    journal = Journal(console)
    folder = (home or free_home(state_root())).resolve()
    wished = DevnetConfig(folder, nodes=nodes, committee=committee, seed=seed)
    config = move_to_free_ports(wished, tuple(node.host for node in plan(wished).nodes))
    failed = False
    try:
        asyncio.run(_run(config, journal, until))
    except* QnetError as group:
        failed = True
        for error in _leaves(group):
            show_error(error, as_json=False)
    finally:
        _finish(config, console, keep=keep and not failed)
    Console(width=None if sys.stdout.isatty() else 120).print(journal.table())
    sys.exit(EXIT_FAILED if failed or not journal.ok else 0)


def _leaves(group: BaseExceptionGroup[QnetError]) -> Iterator[QnetError]:
    """All errors of a group, however deep."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _finish(config: DevnetConfig, console: Console, *, keep: bool) -> None:
    """Stop the network, or say what can be tried with it."""
    if not (config.home / "state.json").exists():
        return
    if not keep:
        stop_network(load(config.home))
        return
    where = f"--home {config.home}"
    console.print("\nThe network is up. Try:")
    for line in (
        f'eval "$(qnet devnet env {where})"',
        "qnet devnet status",
        f"curl http://web.devnet:{config.web_port}/",
        "qnet client circuits",
        "qnet gov show latest",
        "qnet stake list --all",
        "qnet stake positions",
        "qnet court status",
        "qnet gov contracts verify",
        "qnet devnet down",
    ):
        console.print(f"  {line}", highlight=False)


if __name__ == "__main__":
    main()
