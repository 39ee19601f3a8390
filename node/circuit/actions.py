"""What the circuit core asks of its driver (actions) and tells it (events).

A relay's core returns actions, in the imperative; a client's core returns events, in the past
tense. Cells and credits are not among them: the driver pulls them (`pull`, `take_credits`) after
each wake-up, as far as its links have room.
"""

from dataclasses import dataclass

from node.circuit.messages import Answer, EndReason
from node.circuit.payment import PaymentStatus
from qnet.messages.instruments import Opening, Unit


@dataclass(frozen=True, slots=True)
class ConnectNext:
    """Find or dial a link to a node; answer with `link_ready` or `link_failed`.

    Args:
        circuit: handle of the circuit inside this core, never reused.
        node_index: registry index of the next hop.
        node_id: its 32-byte id; a link to any other node must not be used.
    """

    circuit: int
    node_index: int
    node_id: bytes


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Connect to host:port under the exit policy; answer `stream_connected` or `stream_ended`.

    Data may arrive (`DeliverData`) before the connection stands: keep it, it is bounded by the
    stream's credit.
    """

    circuit: int
    stream: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class OpenDirectory:
    """Serve directory data on this stream; it counts as connected at once."""

    circuit: int
    stream: int


@dataclass(frozen=True, slots=True)
class ResolveName:
    """Look a name up; answer with `resolved` or `stream_ended`."""

    circuit: int
    stream: int
    host: str


@dataclass(frozen=True, slots=True)
class DeliverData:
    """Write the chunks to the stream's connection, in order, then call `stream_consumed`."""

    circuit: int
    stream: int
    chunks: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class EndStream:
    """The other side ended the stream, or its circuit is gone.

    DONE closes one direction (write what is left, then EOF; keep reading). Any other reason is
    an error: abort the connection, it must never look like an orderly end. The core has already
    forgotten the stream then.
    """

    circuit: int
    stream: int
    reason: EndReason


@dataclass(frozen=True, slots=True)
class ResumeStream:
    """The stream takes data again after `stream_data` accepted less than it was given."""

    circuit: int
    stream: int


@dataclass(frozen=True, slots=True)
class TakeToken:
    """The client shows a token; `tell_payment` answers it.

    Args:
        circuit: handle of the circuit.
        link: the link it came over.
        opening: the token.
    """

    circuit: int
    link: int
    opening: Opening


@dataclass(frozen=True, slots=True)
class TakeUnit:
    """The client pays a unit of the token it showed."""

    circuit: int
    unit: Unit


@dataclass(frozen=True, slots=True)
class EndPayments:
    """A circuit that showed a token is gone."""

    circuit: int


@dataclass(frozen=True, slots=True)
class CloseLink:
    """The peer broke a rule of the link: close it, then call `link_closed`."""

    link_id: int
    why: str


Action = (
    ConnectNext
    | OpenStream
    | OpenDirectory
    | ResolveName
    | DeliverData
    | EndStream
    | ResumeStream
    | TakeToken
    | TakeUnit
    | EndPayments
    | CloseLink
)


@dataclass(frozen=True, slots=True)
class CircuitBuilt:
    """Every hop answered and proved its key.

    Args:
        circuit_id: the circuit's id on this link.
        seconds: time from CREATE to CREATED.
    """

    circuit_id: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CircuitFailed:
    """The circuit is gone; every stream of it has been reported by `StreamEnded` before.

    Args:
        circuit_id: the circuit's id on this link.
        reason: why.
        hop: position (0 = entry) of the hop that failed, or None if nobody could tell.
    """

    circuit_id: int
    reason: EndReason
    hop: int | None


@dataclass(frozen=True, slots=True)
class StreamConnected:
    """The exit is connected.

    Args:
        circuit_id: the circuit's id on this link.
        stream: number of the stream.
        address: 4 or 16 bytes, empty if the exit does not say.
    """

    circuit_id: int
    stream: int
    address: bytes


@dataclass(frozen=True, slots=True)
class StreamData:
    """Bytes arrived, in order; call `consumed` when the application has taken them."""

    circuit_id: int
    stream: int
    chunks: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The stream ended: DONE is EOF of this direction, anything else is an error."""

    circuit_id: int
    stream: int
    reason: EndReason


@dataclass(frozen=True, slots=True)
class StreamWritable:
    """The stream takes data again after `send` accepted less than it was given."""

    circuit_id: int
    stream: int


@dataclass(frozen=True, slots=True)
class NameResolved:
    """Answers to `resolve`; the stream is over."""

    circuit_id: int
    stream: int
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class HopRekeyed:
    """One hop of the circuit has fresh keys in both directions."""

    circuit_id: int
    hop: int
    generation: int


@dataclass(frozen=True, slots=True)
class ProbeAnswered:
    """A hop answered a probe.

    Args:
        circuit_id: the circuit's id on this link.
        hop: position (0 = entry) of the hop.
        token: what `probe` returned.
        seconds: time from `probe` to the answer.
    """

    circuit_id: int
    hop: int
    token: int
    seconds: float


@dataclass(frozen=True, slots=True)
class PaymentAnswered:
    """A hop answered a payment, or its weight for the circuit changed.

    Args:
        circuit_id: the circuit's id on this link.
        hop: position (0 = entry) of the hop.
        status: what it says.
    """

    circuit_id: int
    hop: int
    status: PaymentStatus


Event = (
    CircuitBuilt
    | CircuitFailed
    | StreamConnected
    | StreamData
    | StreamEnded
    | StreamWritable
    | NameResolved
    | HopRekeyed
    | ProbeAnswered
    | PaymentAnswered
)
