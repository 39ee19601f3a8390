"""RelayCore: circuits at a node, without I/O (signatures first; being filled in)."""

from collections.abc import Callable, Sequence

from node.circuit.actions import Action
from node.circuit.keys.phase import PhaseKeyring
from node.circuit.messages import Answer, EndReason
from qnet.parameters import NetworkParameters


class RelayCore:
    """All circuits of a node. One wake-up of the driver:

    ```
    actions = core.handle_cells(link_id, cells, now)      # or handle_credit, link_closed, tick …
    carry_out(actions)
    for link_id in core.ready_links():                    # links that may send something now
        cells = core.pull(link_id, room_in_cells)         # fair over circuits, control cells first
        link.send_cells(cells); meter.count(…)
    for link_id, content in core.take_credits():          # contents of CREDIT records
        link.send_record(CREDIT, content)
    ```

    Calls about a circuit or stream that is already gone do nothing.

    Args:
        node_id: 32 bytes.
        phase_keys: the node's onion keys, shared by all its workers.
        random: source of secret bytes (`secrets.token_bytes`).
        parameters: network parameters in force.
        exits: whether BEGIN and RESOLVE are served (role exit).
    """

    def __init__(self, *, node_id: bytes, phase_keys: PhaseKeyring, random: Callable[[int], bytes], parameters: NetworkParameters, exits: bool) -> None:
        raise NotImplementedError

    def set_parameters(self, parameters: NetworkParameters) -> None: ...

    # links
    def link_opened(self, link_id: int, *, outgoing: bool) -> None:
        """A link stands; `outgoing` if this node dialled it (its circuit ids have top bit 0)."""
    def link_closed(self, link_id: int, now: float) -> list[Action]: ...
    def link_ready(self, circuit: int, link_id: int, now: float) -> list[Action]:
        """Answer to ConnectNext (link_opened was called before)."""
    def link_failed(self, circuit: int, now: float) -> list[Action]: ...
    def circuits_on(self, link_id: int) -> int:
        """Circuits that use the link (for LRU in the pool)."""

    # cells and credits
    def handle_cells(self, link_id: int, cells: Sequence[bytes], now: float) -> list[Action]: ...
    def handle_credit(self, link_id: int, content: bytes, now: float) -> list[Action]: ...
    def ready_links(self) -> list[int]: ...
    def pull(self, link_id: int, max_cells: int) -> list[bytes]: ...
    def take_credits(self) -> list[tuple[int, bytes]]: ...
    def tick(self, now: float) -> list[Action]:
        """Deadlines (build, idle, stream connect); call about once a second."""

    # the node's end of streams (exit and directory alike)
    def stream_connected(self, circuit: int, stream: int, address: bytes, now: float) -> list[Action]: ...
    def stream_data(self, circuit: int, stream: int, data: bytes) -> int:
        """Queue data for the client; returns how many bytes were taken. If fewer than given,
        keep the rest, stop reading and wait for ResumeStream."""
    def stream_consumed(self, circuit: int, stream: int, count: int) -> None: ...
    def stream_ended(self, circuit: int, stream: int, reason: EndReason) -> None:
        """DONE: nothing more from this side (data queued before still goes out). Else: abort."""
    def resolved(self, circuit: int, stream: int, answers: Sequence[Answer]) -> None: ...
    def shutdown(self, now: float) -> list[Action]:
        """Destroy every circuit with reason SHUTDOWN."""
