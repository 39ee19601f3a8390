"""Stage one: the chain, the contracts, the money, the committee's bonds."""

import asyncio
import secrets
import time
from collections.abc import Sequence

from qnet.beacon import BEACON_BYTES, HashChain
from qnet.chain.anvil import AnvilOptions, EmbeddedChain, find_anvil
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deploy import deploy
from qnet.chain.deployment import Deployment
from qnet.chain.layout import DeploymentRequest, MemberSeat
from qnet.chain.sender import KeySigner, Sender
from qnet.chain.values import Call
from qnet.files import write_atomic
from qnet.issuance import PaymentTerms
from qnet.parameters import NetworkParameters
from qnet.units import WEI_PER_QNET
from tools.devnet.accounts import OpenAccount, make_accounts, make_passphrase
from tools.devnet.network import Network

TREASURY = "treasury"
COINS_WEI = 1000 * 10**18
"""The chain's own coin, for fees, to every account."""
VAULT_QNET = 50_000_000
"""5,000 full epochs."""
TREASURY_QNET = 1_000_000
OPERATOR_QNET = 20_000
"""More than the largest bond and the fee of a registration."""
MEMBER_QNET = 60_000
HOLDER_QNET = {"alice": 2_000_000, "bob": 1_000_000, "carol": 500_000}
GENESIS_LEAD_S = 20
BEACON_SLOTS = 1 << 14
"""Slots the beacon's chain lasts: 22 hours of 5-second slots."""


async def start_chain(network: Network) -> None:
    """Start anvil, deploy the contracts, give everybody money, bond the committee."""
    progress = network.progress
    with progress.stage("chain"):
        options = AnvilOptions(port=network.config.chain_port)
        argv = options.command(find_anvil(), options.port, network.config.chain_states)
        network.start(network.spec("chain", *argv, marker="Listening on"))
        progress.note(network.config.rpc)
    with progress.stage("accounts"):
        make_all_accounts(network)
        progress.note(f"{len(network.accounts)} keystores")
    async with ChainClient.connect(network.config.rpc) as client:
        with progress.stage("contracts"):
            deployment = await _deploy(network, client)
            progress.note(f"{len(deployment.contracts)} at block {(await client.block()).number}")
        contracts = await Contracts.open(client, deployment)
        with progress.stage("money"):
            await fund(network, contracts)
        with progress.stage("committee bonds"):
            await bond_committee(network, contracts)
            bonded = sum(member.bonded for member in await contracts.committee.members())
            progress.note(f"{bonded} members, quorum {await contracts.committee.quorum()}")
    network.record(stage="chain")


def make_all_accounts(network: Network) -> None:
    """Draw the passphrase and every key that owns money or signs for the committee."""
    topology, home = network.topology, network.config.home
    network.passphrase = make_passphrase(network.config.passphrase_file)
    names = [TREASURY, *topology.holders, *topology.operators]
    names += [name for member in topology.members for name in (member.owner, member.signer)]
    network.accounts = make_accounts(home, names, network.passphrase)
    network.record(accounts=tuple(account.record for account in network.accounts.values()))


async def _deploy(network: Network, client: ChainClient) -> Deployment:
    embedded = EmbeddedChain(client)
    for account in network.accounts.values():
        await embedded.set_balance(account.address, COINS_WEI)
    seed = secrets.token_bytes(BEACON_BYTES)
    write_atomic(network.config.beacon_seed, seed.hex().encode() + b"\n")
    treasury = network.account(TREASURY)
    topology = network.topology
    allowances = [OPERATOR_QNET * len(topology.nodes), MEMBER_QNET * len(topology.members)]
    supply = TREASURY_QNET + sum(HOLDER_QNET.values()) + sum(allowances)
    seats = [
        MemberSeat(
            network.account(member.owner).address,
            network.account(member.signer).address,
            member.url,
        )
        for member in topology.members
    ]
    request = DeploymentRequest(
        parameters=NetworkParameters.profile("devnet"),
        profile="devnet",
        terms=PaymentTerms.profile("devnet"),
        genesis_s=int(time.time()) + GENESIS_LEAD_S,
        beacon_anchor=HashChain(seed, BEACON_SLOTS).anchor,
        members=seats,
        allocations=[(treasury.address, supply * WEI_PER_QNET)],
        vault_wei=VAULT_QNET * WEI_PER_QNET,
    )
    signer = KeySigner(treasury.key)
    return await deploy(client, signer, request, network.config.deployment)


async def fund(network: Network, contracts: Contracts) -> None:
    """Give operators, members and holders their tokens."""
    topology = network.topology
    amounts = {name: HOLDER_QNET[name] for name in topology.holders}
    amounts |= dict.fromkeys(topology.operators, OPERATOR_QNET)
    amounts |= dict.fromkeys((member.owner for member in topology.members), MEMBER_QNET)
    calls = [
        contracts.token.transfer(network.account(name).address, amount * WEI_PER_QNET)
        for name, amount in amounts.items()
    ]
    await send_all(contracts.client, network.account(TREASURY), calls)


async def bond_committee(network: Network, contracts: Contracts) -> None:
    """Let every member deposit its bond."""
    bond_wei = await contracts.parameters.get("committee_bond_wei")
    calls = [
        contracts.token.approve(contracts.committee.address, bond_wei),
        contracts.committee.deposit_bond(),
    ]
    async with asyncio.TaskGroup() as group:
        for member in network.topology.members:
            account = network.account(member.owner)
            group.create_task(send_all(contracts.client, account, calls))


async def send_all(client: ChainClient, account: OpenAccount, calls: Sequence[Call]) -> None:
    """Send an account's calls one after the other and wait for each.

    Raises:
        ChainError: one of them fails.
    """
    sender = Sender(client, KeySigner(account.key))
    for call in calls:
        await sender.send(call)
