"""`qnet chain`: the contracts, seen and set up."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import click

from governance.registration import load_node_keys, registration
from governance.session import Session, account_options, chain_options, send, stamp
from qnet.address import checksum_address, parse_address
from qnet.chain.client import ChainClient
from qnet.chain.deploy import deploy as run_deployment
from qnet.chain.deploy import planned_genesis_s
from qnet.chain.deployment import Deployment, Profile
from qnet.chain.layout import DeploymentRequest, MemberSeat
from qnet.chain.sender import KeySigner
from qnet.chain.staking import Role
from qnet.cli.output import confirm, emit, say
from qnet.cli.settings import settings
from qnet.crypto.keys import ReceiptKey
from qnet.errors import ConfigError, UsageError
from qnet.parameters import NetworkParameters
from qnet.units import format_qnet, parse_qnet
from qnet.wallet.keystore import load as load_keystore
from qnet.wallet.passphrase import PassphraseSource

MAX_COMMITTEE_FILE_BYTES = 1 << 20
_PATH = click.Path(path_type=Path)


@click.group()
def chain() -> None:
    """Deploy and inspect the contracts."""


@chain.command()
@chain_options
def status(session: Session) -> None:
    """Show the chain's clock, the epoch, the committee and the contracts."""

    async def work() -> dict[str, Any]:
        contracts = session.contracts
        block = await contracts.client.block("latest")
        final = await contracts.client.block("finalized")
        clock = await contracts.epochs.clock()
        epoch, slot = clock.slot_at(block.timestamp)
        members = await contracts.committee.members()
        return {
            "chain_id": contracts.client.chain_id,
            "block": block.number,
            "finalized": final.number,
            "time": stamp(block.timestamp),
            "epoch": epoch,
            "slot": slot,
            "epoch_ends": stamp(clock.epoch_bounds(epoch)[1]),
            "next_epoch_to_start": await contracts.epochs.next_epoch(),
            "next_epoch_to_report": await contracts.oracle.next_epoch(),
            "nodes": await contracts.registry.count(),
            "bonded": f"{format_qnet(await contracts.hub.total_bonded())} QNET",
            "paid": f"{format_qnet(await contracts.vault.total_paid())} QNET",
            "committee": f"{sum(member.bonded for member in members)} of {len(members)} bonded",
            "contracts": {
                name: checksum_address(contract.address)
                for name, contract in contracts.deployment.contracts.items()
            },
        }

    data = _run(session, work)
    flat = {key: value for key, value in data.items() if key != "contracts"} | data["contracts"]
    text = "\n".join(f"{key.replace('_', ' '):<22}{value}" for key, value in flat.items())
    emit("qnet.chain.status/1", data, text=text)


@chain.command()
@click.option("--rpc", envvar="QNET_RPC", required=True, help="JSON-RPC of a chain node.")
@click.option("--manifest", type=_PATH, required=True, help="Manifest to write (or go on with).")
@click.option("--profile", type=click.Choice(["main", "devnet"]), default="main")
@click.option("--committee", "members", type=_PATH, required=True, help="JSON: owner, signer, url.")
@click.option("--beacon-anchor", required=True, help="Head of the beacon's hash chain, 0x + 64.")
@click.option("--genesis", type=int, help="Unix time of epoch 0; in 60 s if left out.")
@click.option("--vault", default="100000000", show_default=True, help="QNET for rewards.")
@click.option("--holder", multiple=True, help="ADDRESS=AMOUNT of QNET; may be repeated.")
@click.option("--account", type=_PATH, required=True, help="Keystore of the deployer.")
@click.option("--passphrase-file", type=_PATH, help="File of mode 0600.")
def deploy(
    rpc: str,
    manifest: Path,
    profile: str,
    members: Path,
    beacon_anchor: str,
    genesis: int | None,
    vault: str,
    holder: tuple[str, ...],
    account: Path,
    passphrase_file: Path | None,
) -> None:
    """Deploy all contracts, or go on where an interrupted deployment stopped."""
    source = PassphraseSource(file=passphrase_file, may_ask=not settings().no_input)
    key = ReceiptKey(load_keystore(account).decrypt(source.read()))
    allocations = [_allocation(word) for word in holder]
    request = DeploymentRequest(
        parameters=NetworkParameters.profile(cast("Profile", profile)),
        profile=cast("Profile", profile),
        genesis_s=genesis or planned_genesis_s(manifest) or int(time.time()) + 60,
        beacon_anchor=_anchor(beacon_anchor),
        members=load_seats(members),
        allocations=allocations,
        vault_wei=parse_qnet(vault),
    )
    preview = [
        f"deploy QNet ({profile} profile) to {rpc} as {checksum_address(key.address)}",
        f"supply {format_qnet(request.supply_wei)} QNET, {vault} of them for rewards",
        f"{len(request.members)} committee members, epoch 0 starts {stamp(request.genesis_s)}",
    ]
    if not confirm(preview):
        return
    made = asyncio.run(_deploy(rpc, key, request, manifest))
    addresses = {n: checksum_address(c.address) for n, c in made.contracts.items()}
    rows = [{"contract": name, "address": address} for name, address in addresses.items()]
    emit("qnet.chain.deploy/1", {"manifest": str(manifest), "contracts": addresses}, rows=rows)


async def _deploy(
    rpc: str, key: ReceiptKey, request: DeploymentRequest, manifest: Path
) -> Deployment:
    async with ChainClient.connect(rpc, timeout_s=settings().timeout) as client:
        return await run_deployment(
            client,
            KeySigner(key),
            request,
            manifest,
            on_progress=lambda done: say(f"{done.number}/{done.total} {done.name}"),
        )


def load_seats(path: Path) -> list[MemberSeat]:
    """Read a committee file: a JSON list of {"owner", "signer", "url"}.

    Raises:
        ConfigError: it cannot be read or has another form.
    """
    try:
        if path.stat().st_size > MAX_COMMITTEE_FILE_BYTES:
            raise ConfigError(f"{path} is longer than 1 MiB")
        entries = json.loads(path.read_text("utf-8"))
        return [
            MemberSeat(parse_address(e["owner"]), parse_address(e["signer"]), str(e["url"]))
            for e in entries
        ]
    except (OSError, ValueError, KeyError, TypeError, UsageError) as error:
        raise ConfigError(f"{path} is not a committee file", why=str(error)) from error


def _allocation(word: str) -> tuple[bytes, int]:
    address, separator, amount = word.partition("=")
    if not separator:
        raise UsageError(f"{word!r} is not ADDRESS=AMOUNT")
    return parse_address(address), parse_qnet(amount)


def _anchor(text: str) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise UsageError("the beacon anchor is not hexadecimal") from error
    if len(value) != 32:
        raise UsageError("the beacon anchor does not have 32 bytes")
    return value


@chain.command("register-node")
@click.argument("home", type=_PATH)
@click.option("--role", type=click.Choice(["entry", "relay", "exit"]), required=True)
@click.option("--payout", help="Account that rewards go to; the owner if left out.")
@click.option("--node-passphrase-file", type=_PATH, help="Opens the node's receipt key.")
@chain_options
@account_options
def register_node(
    session: Session,
    home: Path,
    role: str,
    payout: str | None,
    node_passphrase_file: Path | None,
) -> None:
    """Register the node whose keys lie in HOME; the signing account becomes its owner."""

    async def work() -> None:
        source = PassphraseSource(file=node_passphrase_file, may_ask=not settings().no_input)
        keys = load_node_keys(home, source.read(what="passphrase of the node's keys"))
        registry = session.contracts.registry
        to = parse_address(payout) if payout else session.account
        now = (await session.contracts.client.block("latest")).timestamp
        call = registration(
            registry, keys, role=Role[role.upper()], owner=session.account, payout=to, now=now
        )
        preview = [
            f"register node {keys.node_id.hex()} as {role}",
            f"owner {checksum_address(session.account)}, rewards to {checksum_address(to)}",
            f"receipt key {checksum_address(keys.receipt.address)}",
            "it serves and earns after it has bonded: qnet stake bond AMOUNT",
        ]
        extra = {"node_id": "0x" + keys.node_id.hex(), "role": role}
        result = await send(session, "qnet.chain.register-node/1", call, preview, extra)
        if result is not None:
            say(f"registry index {await registry.index_of(keys.node_id)}")

    _run(session, work)


def _run(session: Session, work: Callable[[], Awaitable[Any]]) -> Any:
    async def inside() -> Any:
        async with session.open():
            return await work()

    return asyncio.run(inside())
