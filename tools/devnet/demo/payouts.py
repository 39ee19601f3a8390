"""What the chain paid relays for premium bandwidth."""

from collections.abc import Mapping

from node.payments.user.payer import AHEAD_MAX
from qnet.chain.contracts import Contracts


def is_what_was_spent(paid: Mapping[int, int], spent: Mapping[int, int]) -> bool:
    """Whether relays were paid what a wallet spent with them, by relay.

    A wallet counts units before they leave. Those that were on their way when a circuit broke
    never reached the relay: some circuit or other of a relay may have broken so.
    """
    return paid.keys() <= spent.keys() and all(
        0 <= spent[relay] - paid.get(relay, 0) <= AHEAD_MAX for relay in spent
    )


def units_of(paid: Mapping[int, tuple[int, int]]) -> dict[int, int]:
    """The units of what `paid_to_relays` tells."""
    return {relay: units for relay, (units, _) in paid.items()}


async def is_paid_out(contracts: Contracts, epoch: int, units: Mapping[int, int]) -> bool:
    """Whether all that is attested for an issuance epoch is paid: some units may be lost."""
    state = await contracts.channels.issuance_of(epoch)
    return state is not None and 0 < state.attested <= sum(units.values())


async def paid_to_relays(
    contracts: Contracts, from_block: int, to_block: int = 0, *, epoch: int | None = None
) -> dict[int, tuple[int, int]]:
    """Units and wei by relay, claimed or redeemed, without the fee.

    Args:
        contracts: the network's.
        from_block: first block looked at.
        to_block: last one; the newest by default.
        epoch: issuance epoch; all by default.
    """
    channels = contracts.channels
    last = to_block or (await contracts.client.block("latest")).number
    found: dict[int, tuple[int, int]] = {}
    logs = await contracts.client.logs(
        [channels.address],
        from_block=from_block,
        to_block=last,
        topics=[channels.abi.event(name).hash for name in ("Claimed", "RelayPaid")],
    )
    for event in filter(None, map(channels.event, logs)):
        told = event.arguments
        if epoch is None or told["epoch"] == epoch:
            units, wei = found.get(told["relay"], (0, 0))
            added = told["units"] - told.get("oldUnits", 0)
            found[told["relay"]] = (units + added, wei + told["amount"])
    return found
