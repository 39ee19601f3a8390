"""What a node must know about itself and its network before it can take part.

With a chain it is read from the contracts; without one (benches on one machine) from the network
bundle and `node.toml`.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.config import NodeConfig
from node.errors import NodeConfigError
from node.manifests import load_bundle, load_deployment
from qnet.address import parse_address
from qnet.epochs import EpochClock
from qnet.messages.consensus import CommitteeTrust
from qnet.messages.succession import set_at
from qnet.parameters import NetworkParameters


@dataclass(frozen=True, slots=True)
class Registration:
    """A node's place in its network.

    Attributes:
        trust: Whose signatures make a consensus.
        parameters: In force until the first consensus is known.
        clock: The reward calendar.
        registry: NodeRegistry contract, 20 bytes.
        oracle: ReportOracle contract, 20 bytes.
        owner: The operator's address, 20 bytes.
        index: Registry index.
    """

    trust: CommitteeTrust
    parameters: NetworkParameters
    clock: EpochClock
    registry: bytes
    oracle: bytes
    owner: bytes
    index: int


async def find_registration(config: NodeConfig, node_id: bytes) -> Registration:
    """Read the node's place from the chain, or from the bundle where there is no chain.

    Raises:
        NodeConfigError: Neither is configured, or the node is not registered.
        ChainError: The chain cannot be read.
    """
    if config.chain is not None:
        return await _from_chain(config, node_id)
    if config.network is not None:
        return _from_bundle(config)
    raise NodeConfigError(
        "node.toml names no network", try_=("add [chain] with rpc and deployment",)
    )


async def _from_chain(config: NodeConfig, node_id: bytes) -> Registration:
    from qnet.chain.client import ChainClient
    from qnet.chain.deployment import Deployment
    from qnet.chain.governing import Parameters
    from qnet.chain.reporting import Committee, Epochs
    from qnet.chain.staking import NodeRegistry

    assert config.chain is not None
    deployment = load_deployment(config.chain.deployment)
    contracts = deployment.contracts
    async with ChainClient.connect(
        config.chain.rpc, expected_chain_id=deployment.chain_id
    ) as chain:
        await Deployment.load(config.chain.deployment).check(chain)
        registry = NodeRegistry(chain, contracts["NodeRegistry"])
        index = await registry.index_of(node_id)
        if index == 0:
            raise NodeConfigError(
                "this node is not registered",
                why=f"NodeRegistry knows no node id {node_id.hex()[:16]}…",
                try_=("register it and bond its stake: qnet stake bond",),
            )
        node = await registry.node(index)
        block = await chain.block("latest")
        seats = await Committee(chain, contracts["Committee"]).members(block.number)
        parameters = await Parameters(chain, contracts["Parameters"]).all()
        parameters.check_chain(deployment.chain_id)
        return Registration(
            trust=set_at(
                seats,
                block.timestamp,
                chain_id=deployment.chain_id,
                committee=contracts["Committee"],
            ),
            parameters=parameters,
            clock=await Epochs(chain, contracts["Epochs"]).clock(),
            registry=contracts["NodeRegistry"],
            oracle=contracts["ReportOracle"],
            owner=node.owner,
            index=index,
        )


def _from_bundle(config: NodeConfig) -> Registration:
    assert config.network is not None
    if not config.node.index or not config.node.owner:
        raise NodeConfigError("without a chain [node] must name index and owner")
    bundle = load_bundle(config.network.bundle)
    parameters = bundle.parameters()
    return Registration(
        trust=CommitteeTrust(bundle.chain_id, bundle.committee, bundle.signers, bundle.quorum),
        parameters=parameters,
        clock=EpochClock(bundle.genesis_s, parameters.slot_s, parameters.slots_per_epoch),
        registry=bundle.registry,
        oracle=bundle.oracle,
        owner=parse_address(config.node.owner),
        index=config.node.index,
    )
