"""Carried: all circuits of a node, their deadlines, and how they end.

Source: docs/spec/circuits.md, sections "Ends" and "States".
"""

import heapq
from collections.abc import Callable
from typing import Final

from node.circuit.cell import Command, encode_header
from node.circuit.eviction import Evictions
from node.circuit.layer import REST_S
from node.circuit.messages import EndReason
from node.circuit.pool import CellPool
from node.circuit.relay_circuit import RelayCircuit
from node.circuit.relay_lanes import Surroundings
from node.circuit.states import RelayInput, RelayState
from qnet.errors import RemoteProtocolError
from qnet.parameters import NetworkParameters

_WHOLE_CIRCUIT: Final = 0
"""Stream number of a deadline that concerns the circuit itself."""


class Carried:
    """The circuits of a node.

    Args:
        random: source of secret bytes.
        parameters: network parameters in force.
        exits: whether BEGIN and RESOLVE are served.

    Attributes:
        circuits: by handle.
        around: what all of them share.
        evictions: which of them go when there are too many.
    """

    __slots__ = ("_deadlines", "_next_handle", "around", "circuits", "evictions")

    def __init__(
        self, random: Callable[[int], bytes], parameters: NetworkParameters, *, exits: bool
    ) -> None:
        self.circuits: dict[int, RelayCircuit] = {}
        self.around = Surroundings(
            random=random,
            parameters=parameters,
            exits=exits,
            pool=CellPool(parameters.pool_bytes),
            watch=self._watch,
        )
        self.evictions = Evictions(self.circuits)
        self._deadlines: list[tuple[float, int, int]] = []
        self._next_handle = 1

    def take_handle(self) -> int:
        """Return the handle of the next circuit; none is used twice."""
        handle = self._next_handle
        self._next_handle = handle + 1
        return handle

    def add(self, circuit: RelayCircuit) -> None:
        """Carry a circuit and watch its deadlines."""
        self.circuits[circuit.handle] = circuit
        self._watch(circuit.due, circuit.handle, _WHOLE_CIRCUIT)

    def answer(self, circuit: RelayCircuit, behind: bytes | None) -> None:
        """Send CREATED.

        Args:
            circuit: the circuit.
            behind: CREATED body of the next hop; None if the circuit ends here.
        """
        port = circuit.previous
        circuit.touched = self.around.now
        header = encode_header(port.circuit_id, Command.CREATED)
        port.link.push_control(header + circuit.answer(behind))
        if circuit.has_content:
            port.activate()

    # ends

    def fail(self, circuit: RelayCircuit, reason: EndReason) -> None:
        """End a circuit from here: DESTROY onward, the reason and DESTROY to the client."""
        if circuit.state is RelayState.DRAINING:
            self.close(circuit, reason, tell_previous=True)
            return
        circuit.change(RelayInput.FAILED)
        _cut_next(circuit)
        if not circuit.has_answered:
            self.answer(circuit, None)
        circuit.say_last_words(reason)
        self._watch(circuit.due, circuit.handle, _WHOLE_CIRCUIT)
        circuit.previous.activate()

    def close(self, circuit: RelayCircuit, reason: EndReason, *, tell_previous: bool) -> None:
        """Forget a circuit."""
        circuit.change(RelayInput.TOLD if tell_previous else RelayInput.GONE)
        _cut_next(circuit)
        circuit.release(reason)
        if tell_previous:
            circuit.previous.link.destroy(circuit.previous.circuit_id)
        circuit.erase_keys()
        self.around.awake.discard(circuit)
        del self.circuits[circuit.handle]
        self.evictions.gone(circuit.handle)

    def close_told(self) -> None:
        """Forget the circuits whose last words just left."""
        told, self.around.told = self.around.told, []
        for circuit in told:
            self.close(circuit, EndReason.CIRCUIT_DESTROYED, tell_previous=True)

    def relieve(self) -> None:
        """Destroy circuits until the queued cells fit the pool, the oldest cell's first."""
        pool = self.around.pool
        while pool.is_over:
            pool.dropped_circuits += 1
            circuit = pool.oldest()
            circuit.backward.queue.clear()
            self.fail(circuit, EndReason.RESOURCE_LIMIT)

    def shutdown(self) -> None:
        """End every circuit because the node stops."""
        for circuit in list(self.circuits.values()):
            if circuit.state is not RelayState.DRAINING:
                self.fail(circuit, EndReason.SHUTDOWN)

    # deadlines

    def _watch(self, due: float, handle: int, stream: int) -> None:
        heapq.heappush(self._deadlines, (due, handle, stream))

    def tick(self) -> None:
        """Act on deadlines: build, idle, stream connect; let idle circuits drop their ciphers."""
        now = self.around.now
        awake = self.around.awake
        for resting in [found for found in awake if now - found.touched >= REST_S]:
            resting.rest()
            awake.discard(resting)
        while self._deadlines and self._deadlines[0][0] <= now:
            _, handle, stream = heapq.heappop(self._deadlines)
            circuit = self.circuits.get(handle)
            if circuit is None:
                continue
            if stream:
                self._expire_stream(handle, stream)
            elif circuit.due > now:
                self._watch(circuit.due, handle, _WHOLE_CIRCUIT)
            else:
                self._expire(circuit)

    def _expire_stream(self, handle: int, stream: int) -> None:
        self.with_circuit(handle, lambda found: found.ends.expire(stream))

    def _expire(self, circuit: RelayCircuit) -> None:
        if circuit.state is RelayState.DRAINING:
            self.close(circuit, EndReason.CIRCUIT_DESTROYED, tell_previous=True)
            return
        waiting = circuit.state is RelayState.OPEN
        self.fail(circuit, EndReason.IDLE if waiting else EndReason.BUILD_TIMEOUT)

    def with_circuit(self, handle: int, act: Callable[[RelayCircuit], None]) -> None:
        """Do something with the streams of a circuit, if it is still there."""
        found = self.circuits.get(handle)
        if found is None:
            return
        try:
            act(found)
        except RemoteProtocolError:
            self.fail(found, EndReason.PROTOCOL)
        else:
            found.speak_up()


def _cut_next(circuit: RelayCircuit) -> None:
    following, circuit.next = circuit.next, None
    if following is not None:
        following.link.destroy(following.circuit_id)
