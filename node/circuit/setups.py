"""Setups: which circuits a node takes on, and the way to their next hop.

Source: docs/spec/circuits.md, QN-CIR-005, QN-CIR-006, QN-CIR-013, and section "Setup".
"""

from contextlib import suppress
from typing import Final

from node.circuit.actions import ConnectNext
from node.circuit.budget import Bucket, SetupBudgets
from node.circuit.carried import Carried
from node.circuit.cell import Command, encode_header
from node.circuit.keys.phase import PhaseKeyring
from node.circuit.link_ports import LinkPorts, Port, Side
from node.circuit.messages import EndReason
from node.circuit.relay_circuit import RelayCircuit
from node.circuit.setup import OpenedCreate, open_create
from node.circuit.states import RelayInput, RelayState
from qnet.errors import LocalProtocolError, RemoteProtocolError

CLIENT_CIRCUITS: Final = 1024
"""Most circuits on the link of a client; nodes carry the circuits of many."""
MAX_CIRCUITS: Final = 1 << 16
"""Most circuits of a process: one without cells takes 17 KiB."""


class Setups:
    """CREATE and CREATED at a node.

    Args:
        node_id: 32 bytes.
        phase_keys: the node's onion keys.
        carried: all circuits of the node.

    Attributes:
        refused: setups answered with DESTROY.
        over_budget: those among them that their peer had no budget for.
    """

    __slots__ = (
        "_budget_of",
        "_budgets",
        "_carried",
        "_node_id",
        "_phase_keys",
        "over_budget",
        "refused",
    )

    def __init__(self, node_id: bytes, phase_keys: PhaseKeyring, carried: Carried) -> None:
        self._node_id = node_id
        self._phase_keys = phase_keys
        self._carried = carried
        self._budgets = SetupBudgets()
        self._budget_of: dict[int, Bucket] = {}
        self.refused = 0
        self.over_budget = 0

    def link_opened(self, link_id: int, *, client: bool, node_id: bytes | None) -> int:
        """A link stands; return how many circuits its peer may open at most."""
        self._budget_of[link_id] = self._budgets.open(
            self._carried.around.now, client=client, node_id=node_id
        )
        return CLIENT_CIRCUITS if client else MAX_CIRCUITS

    def link_closed(self, link_id: int) -> None:
        """A link is gone."""
        self._budget_of.pop(link_id, None)

    def create(
        self, link: LinkPorts[RelayCircuit], circuit_id: int, phase: int, body: bytes
    ) -> None:
        """Take CREATE.

        Raises:
            RemoteProtocolError: an id that may not be used, or far too many circuits.
        """
        is_full = link.is_full
        link.claim(circuit_id)
        opened = None
        if not is_full and self._is_affordable(link) and self._make_room():
            with suppress(RemoteProtocolError):
                opened = open_create(body, phase, self._node_id, self._phase_keys)
        if opened is None:
            self.refused += 1
            link.destroy(circuit_id)
        else:
            self._begin(link, circuit_id, opened)

    def _begin(self, link: LinkPorts[RelayCircuit], circuit_id: int, opened: OpenedCreate) -> None:
        carried = self._carried
        around = carried.around
        circuit = RelayCircuit(carried.take_handle(), opened, around)
        circuit.previous = Port(
            link, circuit_id, Side.PREVIOUS, circuit, circuit.backward, around.parameters
        )
        link.add(circuit.previous)
        carried.add(circuit)
        routing = opened.routing
        if routing.opening is not None:
            circuit.show(routing.opening)
        if routing.is_last:
            circuit.change(RelayInput.LAST)
            carried.answer(circuit, None)
        elif routing.next_node_id == self._node_id:
            carried.fail(circuit, EndReason.LINK_FAILED)
        else:
            around.actions.add(
                ConnectNext(circuit.handle, routing.next_index, routing.next_node_id)
            )

    def _is_affordable(self, link: LinkPorts[RelayCircuit]) -> bool:
        """Take a setup from the link's budget; count it if there is none left."""
        if self._budget_of[link.link_id].take(self._carried.around.now):
            return True
        self.over_budget += 1
        return False

    def _make_room(self) -> bool:
        """Whether the process may carry one circuit more, if need be in place of an idle one."""
        evictions = self._carried.evictions
        if evictions.staying < MAX_CIRCUITS:
            return True
        idle = evictions.next(self._carried.around.now)
        if idle is not None:
            self._carried.fail(idle, EndReason.RESOURCE_LIMIT)
        return idle is not None

    def extend(self, circuit: RelayCircuit, link: LinkPorts[RelayCircuit]) -> None:
        """Send CREATE to the next hop."""
        try:
            circuit_id = link.ids.take()
        except LocalProtocolError:
            self._carried.fail(circuit, EndReason.RESOURCE_LIMIT)
            return
        circuit.change(RelayInput.LINK_READY)
        circuit.next = Port(
            link, circuit_id, Side.NEXT, circuit, circuit.forward, circuit.around.parameters
        )
        link.add(circuit.next)
        header = encode_header(circuit_id, Command.CREATE, circuit.phase)
        link.push_control(header + circuit.take_next_body())

    def created(self, port: Port[RelayCircuit], body: bytes) -> None:
        """Take CREATED of the next hop."""
        circuit = port.circuit
        if port.side is Side.NEXT and circuit.state is RelayState.EXTENDING:
            circuit.change(RelayInput.CREATED)
            self._carried.answer(circuit, body)
        else:
            self._carried.fail(circuit, EndReason.PROTOCOL)
