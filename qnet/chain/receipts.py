"""Which receipts the court takes as evidence."""

from qnet.chain.contracts import Contracts
from qnet.chain.staking import NodeState
from qnet.messages.receipt import LinkReceipt


async def why_no_evidence(contracts: Contracts, receipt: LinkReceipt) -> str:
    """Why two receipts of this tuple would prove nothing, in words; empty if they do.

    A node's key can sign anything. Who takes to the court what it refuses loses a bond, so this is
    asked before. Source: docs/spec/disputes.md, QN-DSP-016.
    """
    clock = await contracts.epochs.clock()
    count = await contracts.registry.count()
    nodes = {receipt.node_from, receipt.node_to}
    if len(nodes) < 2 or not all(0 < node <= count for node in nodes):
        return f"there is no link {receipt.node_from} -> {receipt.node_to}"
    if receipt.slot >= clock.slots_per_epoch:
        return f"there is no slot {receipt.slot}"
    if receipt.epoch > await contracts.epochs.current_epoch():
        return f"epoch {receipt.epoch} has not begun"
    status = await contracts.registry.status_at(receipt.signer, receipt.epoch)
    if status.state is not NodeState.ACTIVE:
        return f"node {receipt.signer} was not Active in epoch {receipt.epoch}"
    return ""
