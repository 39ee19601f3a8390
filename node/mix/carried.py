"""What else a client of the mixnet carries, in its turns of one schedule.

Source: docs/spec/mixnet.md, section Sending.
"""

from typing import Protocol, TypeAlias

from node.mix.packet import Delivery

Packet: TypeAlias = tuple[int, bytes]
"""Registry index of the first mix, and the packet; 0 and a unit of the same size for our node."""


class Carried(Protocol):
    """Something that a client carries beside messages."""

    def payload(self, phase: int, now: float) -> Packet | None:
        """What to send in this turn, if anything.

        Args:
            phase: current key phase, u24.
            now: seconds.
        """

    def receive(self, delivery: Delivery, now: float) -> bool:
        """Take a delivery that is for no address or reply block of the client's own.

        Args:
            delivery: what came.
            now: seconds.

        Returns:
            False if it is not for this one either.
        """
