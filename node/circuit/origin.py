"""OriginCircuit: the client's end of a circuit, without I/O (signatures first; being filled in)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.circuit.actions import Event
from node.circuit.messages import EndReason
from qnet.parameters import NetworkParameters


@dataclass(frozen=True, slots=True)
class HopInfo:
    """A hop as the consensus names it: registry index, node id 32, onion key 32 of the phase."""

    index: int
    node_id: bytes
    phase_key: bytes
    cipher: int = 1


class OriginCircuit:
    """One circuit of a client; made by OriginLink.open_circuit."""

    circuit_id: int
    hops: tuple[HopInfo, ...]
    is_open: bool
    opened_at: float

    def open_stream(self, host: str, port: int, *, hop: int = -1) -> int:
        """Send BEGIN; returns the stream number. Data may be sent before StreamConnected."""
    def begin_directory(self, *, hop: int = -1) -> int: ...
    def resolve(self, host: str, *, hop: int = -1) -> int: ...
    def send(self, stream: int, data: bytes) -> int:
        """Queue data (any size, 64 KiB is good); returns how many bytes were taken. If fewer
        than given, keep the rest and wait for StreamWritable."""
    def end(self, stream: int, reason: EndReason = EndReason.DONE) -> None:
        """DONE ends our direction only (after queued data); any other reason drops the stream."""
    def consumed(self, stream: int, count: int) -> None:
        """The application took `count` bytes of StreamData: gives credit back."""
    def rekey(self, now: float) -> None:
        """Start fresh keys at every hop now (also happens by itself, jittered)."""
    def destroy(self) -> None: ...


class OriginLink:
    """All circuits of a client over one link to its entry. Per wake-up, like RelayCore:

    handle_cells/handle_credit/tick → events; then `pull(room)` → cells to send, `take_credits()`
    → contents of CREDIT records.
    """

    def __init__(self, *, random: Callable[[int], bytes], parameters: NetworkParameters) -> None:
        raise NotImplementedError

    def open_circuit(self, hops: Sequence[HopInfo], phase: int, now: float) -> OriginCircuit: ...
    def circuit(self, circuit_id: int) -> OriginCircuit | None: ...
    def handle_cells(self, cells: Sequence[bytes], now: float) -> list[Event]: ...
    def handle_credit(self, content: bytes, now: float) -> list[Event]: ...
    def has_cells(self) -> bool:
        """Whether `pull` would return something now."""
    def pull(self, max_cells: int) -> list[bytes]: ...
    def take_events(self) -> list[Event]:
        """Events that came up outside handle_* (StreamWritable after pull)."""
    def take_credits(self) -> list[bytes]: ...
    def tick(self, now: float) -> list[Event]: ...
    def link_closed(self, now: float) -> list[Event]: ...
