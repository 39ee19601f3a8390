"""`qnet chain`: the contracts, seen and set up."""

import asyncio
import time
from pathlib import Path
from typing import Any, cast

import click

from governance.launch import (
    load_allocations,
    load_parameters,
    load_seats,
    parse_allocation,
    parse_anchor,
)
from governance.registration import load_node_keys, registration
from governance.session import (
    Session,
    account_options,
    allow,
    amount,
    chain_options,
    require_tokens,
    run,
    send,
    stamp,
)
from qnet.address import checksum_address, parse_address
from qnet.chain.client import ChainClient
from qnet.chain.deploy import Plan, plan, planned_genesis_s
from qnet.chain.deploy import deploy as run_deployment
from qnet.chain.deployment import Deployment, Profile
from qnet.chain.layout import DeploymentRequest
from qnet.chain.sender import KeySigner
from qnet.chain.staking import Role
from qnet.cli.output import confirm, emit, say
from qnet.cli.settings import settings
from qnet.crypto.keys import ReceiptKey
from qnet.issuance import PaymentTerms
from qnet.parameters import NetworkParameters
from qnet.units import format_qnet, parse_qnet
from qnet.wallet.keystore import load as load_keystore
from qnet.wallet.passphrase import PassphraseSource

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

    data = run(session, work)
    flat = {key: value for key, value in data.items() if key != "contracts"} | data["contracts"]
    text = "\n".join(f"{key.replace('_', ' '):<22}{value}" for key, value in flat.items())
    emit("qnet.chain.status/1", data, text=text)


@chain.command()
@click.option("--rpc", envvar="QNET_RPC", required=True, help="JSON-RPC of a chain node.")
@click.option("--manifest", type=_PATH, required=True, help="Manifest to write (or go on with).")
@click.option("--profile", type=click.Choice(["main", "devnet"]), default="main")
@click.option("--parameters", type=_PATH, help="TOML: NAME = VALUE, instead of the profile's.")
@click.option("--set", "overrides", multiple=True, help="NAME=VALUE; may be repeated.")
@click.option("--committee", "members", type=_PATH, required=True, help="JSON: owner, signer, url.")
@click.option("--beacon-anchor", required=True, help="Head of the beacon's hash chain, 0x + 64.")
@click.option("--genesis", type=int, help="Unix time of epoch 0; in 60 s if left out.")
@click.option("--vault", default="100000000", show_default=True, help="QNET for rewards.")
@click.option("--allocations", type=_PATH, help='JSON: {"ADDRESS": "QNET"} of first holders.')
@click.option("--holder", multiple=True, help="ADDRESS=AMOUNT of QNET; may be repeated.")
@click.option("--account", type=_PATH, required=True, help="Keystore of the deployer.")
@click.option("--passphrase-file", type=_PATH, help="File of mode 0600.")
def deploy(  # noqa: PLR0917 - click's signature
    rpc: str,
    manifest: Path,
    profile: str,
    parameters: Path | None,
    overrides: tuple[str, ...],
    members: Path,
    beacon_anchor: str,
    genesis: int | None,
    vault: str,
    allocations: Path | None,
    holder: tuple[str, ...],
    account: Path,
    passphrase_file: Path | None,
) -> None:
    """Deploy all contracts, or go on where an interrupted deployment stopped."""
    chosen = cast("Profile", profile)
    request = DeploymentRequest(
        parameters=load_parameters(chosen, parameters, overrides),
        profile=chosen,
        terms=PaymentTerms.profile(chosen),
        genesis_s=genesis or planned_genesis_s(manifest) or int(time.time()) + 60,
        beacon_anchor=parse_anchor(beacon_anchor),
        members=load_seats(members),
        allocations=[*load_allocations(allocations), *map(parse_allocation, holder)],
        vault_wei=parse_qnet(vault),
    )
    keystore = load_keystore(account)
    source = PassphraseSource(file=passphrase_file, may_ask=not settings().no_input)
    deployer = keystore.public or ReceiptKey(keystore.decrypt(source.read())).address
    planned = asyncio.run(_plan(rpc, deployer, request, manifest))
    if not confirm(_deployment_words(rpc, deployer, request, planned)):
        return
    key = ReceiptKey(keystore.decrypt(source.read()))
    made = asyncio.run(_deploy(rpc, key, request, manifest))
    addresses = {n: checksum_address(c.address) for n, c in made.contracts.items()}
    rows = [{"contract": name, "address": address} for name, address in addresses.items()]
    emit("qnet.chain.deploy/1", {"manifest": str(manifest), "contracts": addresses}, rows=rows)


def _deployment_words(
    rpc: str, deployer: bytes, request: DeploymentRequest, planned: Plan
) -> list[str]:
    """What a deployment does, for the preview."""
    usual = NetworkParameters.profile(request.profile).to_map()
    changed = [
        f"{name} = {value} instead of {usual[name]}"
        for name, value in request.parameters.to_map().items()
        if value != usual[name]
    ]
    steps, done = len(planned.steps), planned.done
    went = f"go on after step {done} of {steps}" if done else f"{steps} transactions"
    return [
        f"deploy QNet ({request.profile} profile) to {rpc}: {went}",
        f"as {checksum_address(deployer)}, which does nothing else meanwhile",
        *changed,
        (
            f"supply {format_qnet(request.supply_wei)} QNET,"
            f" {format_qnet(request.vault_wei)} of them for rewards"
        ),
        *(
            f"{format_qnet(wei)} QNET to {checksum_address(who)}"
            for who, wei in request.allocations
        ),
        *(
            f"member {place}: {checksum_address(seat.owner)} signs as"
            f" {checksum_address(seat.signer)} at {seat.url}"
            for place, seat in enumerate(request.members)
        ),
        f"epoch 0 starts {stamp(request.genesis_s)}",
        *(f"{name:<28}{checksum_address(address)}" for name, address in planned.addresses.items()),
    ]


async def _plan(rpc: str, deployer: bytes, request: DeploymentRequest, manifest: Path) -> Plan:
    async with ChainClient.connect(rpc, timeout_s=settings().timeout) as client:
        return await plan(client, deployer, request, manifest)


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
        registry = session.contracts.registry
        fee_wei = await session.contracts.parameters.get("register_fee_wei")
        fee = f"a registration costs {format_qnet(fee_wei)} QNET, burned: they do not come back"
        await require_tokens(session, fee_wei, why=fee)
        source = PassphraseSource(file=node_passphrase_file, may_ask=not settings().no_input)
        keys = load_node_keys(home, source.read(what="passphrase of the node's keys"))
        to = parse_address(payout) if payout else session.account
        if not await allow(session, registry.address, fee_wei, "the registry", why=fee):
            return
        now = (await session.contracts.client.block("latest")).timestamp
        call = registration(
            registry, keys, role=Role[role.upper()], owner=session.account, payout=to, now=now
        )
        preview = [
            f"register node {keys.node_id.hex()} as {role}",
            f"owner {checksum_address(session.account)}, rewards to {checksum_address(to)}",
            f"receipt key {checksum_address(keys.receipt.address)}",
            fee,
            "it serves and earns after it has bonded: qnet stake bond AMOUNT",
        ]
        extra = {
            "node_id": "0x" + keys.node_id.hex(),
            "role": role,
            "burned": amount(fee_wei),
        }
        result = await send(session, "qnet.chain.register-node/1", call, preview, extra)
        if result is not None:
            say(f"registry index {await registry.index_of(keys.node_id)}")

    run(session, work)
