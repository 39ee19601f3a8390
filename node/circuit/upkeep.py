"""What a client does for an open circuit over time: fresh keys, echoes, life signs, deadlines.

Source: docs/spec/circuits.md, QN-CIR-051, QN-CIR-054, QN-CIR-062, QN-CIR-075 and QN-CIR-092.
"""

from typing import Final

from node.circuit.actions import ProbeAnswered
from node.circuit.messages import EndReason, MessageType
from node.circuit.origin_lane import OriginSurroundings
from node.circuit.origin_rekeys import OriginRekeys
from node.circuit.origin_streams import StreamStarts
from node.circuit.probes import Probes

ANSWER_GRACE_S: Final = 3
"""A hop that answers a request neither within `stream_connect_s` nor this breaks a rule."""


class Upkeep:
    """The upkeep of one circuit.

    Args:
        circuit_id: the circuit's id on its link.
        starts: its streams, whose outboxes carry what is to be said.
        rekeys: the keys of its hops.
        around: what all circuits of the client share.
    """

    __slots__ = ("_around", "_circuit_id", "_padded", "_probes", "_rekeys", "_starts", "_used")

    def __init__(
        self,
        circuit_id: int,
        starts: StreamStarts,
        rekeys: OriginRekeys,
        around: OriginSurroundings,
    ) -> None:
        self._circuit_id = circuit_id
        self._starts = starts
        self._rekeys = rekeys
        self._around = around
        self._probes = Probes(around.random)
        self._padded = self._used = around.now
        rekeys.schedule(around.now, around.parameters.circuit_rekey_s)

    def used(self) -> None:
        """The circuit got a stream."""
        self._used = self._around.now

    def probe(self, position: int) -> int:
        """Ask a hop for an echo; return the token that its answer bears."""
        token, data = self._probes.ask(position, self._around.now)
        self._starts.outboxes[position].say(MessageType.PADDING, 0, data)
        return token

    def padded(self, position: int, data: bytes) -> None:
        """Take PADDING of a hop, which may be an echo."""
        found = self._probes.answered(position, data, self._around.now)
        if found is not None:
            self._around.events.add(ProbeAnswered(self._circuit_id, position, *found))

    def rekey(self) -> None:
        """Ask every hop for fresh keys; a hop that is still at it is left alone."""
        around = self._around
        self._rekeys.schedule(around.now, around.parameters.circuit_rekey_s)
        for position, data in self._rekeys.ask():
            self._starts.outboxes[position].say(MessageType.REKEY, 0, data)

    def tick(self) -> tuple[EndReason, int | None] | None:
        """Do what is due; return why the circuit must end, and which hop is to blame."""
        parameters, now = self._around.parameters, self._around.now
        if now >= self._rekeys.due_at:
            overdue = self._rekeys.overdue()
            if overdue is not None:
                return EndReason.PROTOCOL, overdue
            self.rekey()
        mute = self._starts.overdue(now - parameters.stream_connect_s - ANSWER_GRACE_S)
        if mute is not None:
            return EndReason.BUILD_TIMEOUT, mute
        if len(self._starts):
            self._used = now
            if now - self._padded >= parameters.circuit_idle_s / 2:
                self._padded = now
                self._starts.outboxes[-1].say(MessageType.PADDING, 0)
        if now - self._used >= parameters.circuit_idle_s:
            return EndReason.IDLE, None
        return None
