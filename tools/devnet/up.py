"""Bringing a local network up, stage by stage; whatever fails takes all of it down again."""

from tools.devnet.chain import start_chain
from tools.devnet.config import DevnetConfig, check_ports, claim_home
from tools.devnet.network import Network
from tools.devnet.operators import register_operators
from tools.devnet.programs import start_auditors, start_client, start_committee, start_nodes
from tools.devnet.progress import Progress
from tools.devnet.state import State, locked, save
from tools.devnet.topology import plan

STAGES = ("chain", "committee", "nodes", "client")


async def bring_up(config: DevnetConfig, progress: Progress, *, until: str = "client") -> State:
    """Start a network and leave it running.

    Args:
        config: size and addresses; its home must be empty or absent.
        progress: where to tell how far it is.
        until: last stage: chain, committee, nodes or client.

    Raises:
        HomeTakenError: the home is not empty.
        PortTakenError: something listens where the network wants to.
        AnvilMissingError: the chain is not installed.
        ProcessDiedError: a program ended; carries its last log lines.
    """
    topology = plan(config)
    check_ports(config, tuple(node.host for node in topology.nodes))
    claim_home(config.home)
    network = Network(config, topology, progress)
    save(network.state)
    with locked(config.home):
        try:
            for stage in STAGES[: STAGES.index(until) + 1]:
                await _run_stage(network, stage)
        except BaseException:
            network.stop()
            raise
    return network.state


async def _run_stage(network: Network, stage: str) -> None:
    match stage:
        case "chain":
            await start_chain(network)
            await register_operators(network)
        case "committee":
            await start_committee(network)
        case "nodes":
            await start_nodes(network)
            await start_auditors(network)
        case "client":
            await start_client(network)
