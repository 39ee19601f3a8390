"""What a wallet needs from outside: chain, committee, routes, time and chance."""

from collections.abc import Callable
from dataclasses import dataclass

from node.payments.chain_view import ChainView
from node.payments.user.routes import FreshRoute, Route
from qnet.epochs import EpochClock
from qnet.messages.instruments import Place
from qnet.sampling import RandomBytes


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a wallet needs from outside.

    Args:
        place: chain and contract.
        rewards: calendar of the reward epochs.
        chain: what is asked of the chain.
        members: base URLs of the committee.
        direct: route for purchases.
        fresh: makes a route over circuits of its own.
        wall: unix clock.
        random: the operating system's source.
    """

    place: Place
    rewards: EpochClock
    chain: ChainView
    members: tuple[str, ...]
    direct: Route
    fresh: FreshRoute
    wall: Callable[[], float]
    random: RandomBytes
