"""`qnet node earnings` and `qnet node redeem`: what premium bandwidth brought, and fetching it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qnet.cli.output import emit, say
from qnet.cli.settings import settings

if TYPE_CHECKING:
    from node.payments.relay.claiming import Claiming
    from qnet.chain.sender import KeySigner

SHOWN = ("epoch", "tokens", "units", "claimed_members", "net", "settled", "pending", "problem")


@click.command()
def earnings() -> None:
    """Show what premium bandwidth earned, by issuance epoch."""
    from node.payments.relay.tolls import earnings as found

    rows = asyncio.run(_with_claiming(_home(), None, found))
    emit("qnet.node.earnings/1", rows, rows=[{name: row[name] for name in SHOWN} for row in rows])


@click.command()
@click.option("--epoch", type=int, help="Issuance epoch; all that lack units by default.")
@click.option("--keystore", type=click.Path(path_type=Path), required=True, help="The owner's.")
@click.option("--passphrase-file", type=click.Path(path_type=Path), help="File of mode 0600.")
def redeem(epoch: int | None, keystore: Path, passphrase_file: Path | None) -> None:
    """Show the chain tokens that the committee did not attest, and be paid for them.

    Epochs whose time has not come, or is over, are left out unless `--epoch` names one.
    """
    from qnet.wallet.passphrase import PassphraseSource
    from qnet.wallet.signer import open_signer

    source = PassphraseSource(file=passphrase_file, may_ask=not settings().no_input)
    owner = open_signer(keystore, source.read(what="passphrase of the owner's keystore"))

    async def work(claiming: Claiming) -> list[dict[str, Any]]:
        stored = await asyncio.to_thread(claiming.store.epochs)
        lacking = [
            row.epoch
            for row in stored
            if row.units > row.redeemed_units + (row.attested_units or 0)
        ]
        rows = []
        for one in lacking if epoch is None else [epoch]:
            # an epoch that was named is the chain's to refuse, in its own words
            state = "redeemed" if epoch is not None else await claiming.redemption(one)
            units = await claiming.redeem(one) if state == "redeemed" else 0
            rows.append({"epoch": one, "redeemed_units": units, "state": state})
        return rows

    rows = asyncio.run(_with_claiming(_home(), owner, work))
    emit("qnet.node.redeem/1", rows, rows=rows)
    if not rows:
        say("nothing is missing")


def _home() -> Path:
    from node.cli import node_home

    return node_home()


async def _with_claiming(home: Path, owner: KeySigner | None, work: Any) -> list[dict[str, Any]]:
    """Do something with the settlement of the node in a home, which may run meanwhile."""
    from node.config import NodeConfig
    from node.io.ledger_client import LedgerClient
    from node.keys import load_keys
    from node.payments.relay.toll_store import TollStore
    from node.payments.relay.tolls import STORE_NAME, claiming_of, relay_chain_of
    from node.registration import find_registration
    from qnet.config import load_toml
    from qnet.wallet.passphrase import read_file

    config = load_toml(home / "node.toml", NodeConfig)
    keys = load_keys(home, read_file(config.keys.passphrase_file))
    registration = await find_registration(config, keys.node_id)
    store = TollStore(home / "state" / STORE_NAME)
    try:
        async with LedgerClient(config.ledger.members) as ledger:
            claiming = await claiming_of(
                relay=registration.index,
                key=keys.receipt,
                quorum=registration.trust.quorum,
                rewards=registration.clock,
                chain=relay_chain_of(config, owner),
                ledger=ledger,
                store=store,
                now=time.time,
            )
            found: list[dict[str, Any]] = await work(claiming)
            return found
    finally:
        store.close()
