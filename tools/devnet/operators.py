"""Operators: their nodes' keys, their places in the registry, their bonds."""

import time
from dataclasses import replace
from pathlib import Path

from governance.registration import load_node_keys, registration
from node.setup import NodePlan as Answers
from node.setup import init_node
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import Deployment
from qnet.chain.sender import KeySigner, Sender
from qnet.chain.staking import NodeState
from qnet.chain.staking import Role as RegistryRole
from qnet.units import WEI_PER_QNET
from tools.devnet.errors import StageError
from tools.devnet.network import Network
from tools.devnet.state import NodeRecord
from tools.devnet.topology import NodePlan, Role

UNITS_PER_MIB = 1
"""Price of premium traffic at every node."""
EXIT_POLICY = "open"
LEAST_BOND_QNET = 4000
BOND_STEP_QNET = 500
MOST_BOND_QNET = 12_000


def bond_qnet(number: int) -> int:
    """Bond of node `number`: they differ, so that rewards do."""
    return min(LEAST_BOND_QNET + BOND_STEP_QNET * number, MOST_BOND_QNET)


async def register_operators(network: Network) -> None:
    """Give each operator's node keys, register it and bond it."""
    with network.progress.stage("operators bond"):
        async with ChainClient.connect(network.config.rpc) as client:
            deployment = Deployment.load(network.config.deployment)
            contracts = await Contracts.open(client, deployment)
            records = [_make_home(network, node) for node in network.topology.nodes]
            # one after the other, so that node-1 gets registry index 1
            entered = [
                await _register(network, contracts, node, record)
                for node, record in zip(network.topology.nodes, records, strict=True)
            ]
            total = await contracts.hub.total_bonded()
        network.record(nodes=tuple(entered))
        network.progress.note(f"{len(records)} nodes, {total // WEI_PER_QNET} QNET")


def _make_home(network: Network, node: NodePlan) -> NodeRecord:
    """Make a node's keys and `node.toml`, as `qnet node init` does."""
    config = network.config
    home = config.home / node.name
    is_exit = node.role is Role.EXIT
    answers = Answers(
        role=node.role.name.lower(),
        listen=node.listen,
        sni=node.sni,
        passphrase_file=config.passphrase_file,
        family=node.operator,
        rpc=config.rpc,
        deployment=config.deployment,
        members=tuple(member.url for member in network.topology.members),
        policy=EXIT_POLICY if is_exit else "",
        dns=f"127.0.0.1:{config.dns_port}" if is_exit else "",
        allow_private=is_exit,
        price=UNITS_PER_MIB,
        metrics=f"{node.host}:{config.metrics_port}",
        light_kdf=True,
    )
    made = init_node(home, answers, now=int(time.time()))
    if node.role is Role.ENTRY:
        network.seeds.append(made["seed"])
    return NodeRecord(
        name=node.name,
        number=node.number,
        role=node.role.name.lower(),
        host=node.host,
        home=str(home),
        operator=node.operator,
    )


async def _register(
    network: Network, contracts: Contracts, node: NodePlan, record: NodeRecord
) -> NodeRecord:
    """Register and bond one node.

    Raises:
        StageError: it is not active afterwards.
    """
    account = network.account(node.operator)
    sender = Sender(contracts.client, KeySigner(account.key))
    keys = load_node_keys(Path(record.home), network.passphrase)
    now = (await contracts.client.block("latest")).timestamp
    role = RegistryRole(int(node.role))
    owner = account.address
    fee_wei = await contracts.parameters.get("register_fee_wei")
    await sender.send(contracts.token.approve(contracts.registry.address, fee_wei))
    call = registration(contracts.registry, keys, role=role, owner=owner, payout=owner, now=now)
    await sender.send(call)
    index = await contracts.registry.index_of(keys.node_id)
    bond_wei = bond_qnet(node.number) * WEI_PER_QNET
    await sender.send(contracts.token.approve(contracts.hub.address, bond_wei))
    await sender.send(contracts.hub.bond(index, bond_wei))
    entered = await contracts.registry.node(index)
    if entered.state is not NodeState.ACTIVE or not entered.has_slot:
        raise StageError(f"{node.name} is {entered.state.name.lower()} after bonding")
    return replace(record, node_id=keys.node_id.hex(), index=index)
