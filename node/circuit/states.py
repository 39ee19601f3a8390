"""States of circuits and streams, as tables. What is not in a table must not happen.

Source: docs/spec/circuits.md, section "States", whose tables a test compares with these.
"""

from enum import Enum
from typing import Final, TypeVar

from qnet.errors import RemoteProtocolError

State = TypeVar("State", bound=Enum)
Change = TypeVar("Change", bound=Enum)


class RelayState(Enum):
    """A circuit at a relay."""

    CONNECTING = "waiting for a link to the next hop"
    EXTENDING = "CREATE sent to the next hop"
    OPEN = "cells pass"
    DRAINING = "telling the client why the circuit ends"
    CLOSED = "gone"


class RelayInput(Enum):
    """What happens to a circuit at a relay."""

    LAST = "the circuit ends here"
    LINK_READY = "the link to the next hop stands"
    CREATED = "the next hop answered"
    FAILED = "the circuit cannot go on from here"
    TOLD = "the reason was sent, or there was no time left for it"
    GONE = "DESTROY or the end of the link on the client's side"


RELAY_TABLE: Final = {
    (RelayState.CONNECTING, RelayInput.LAST): RelayState.OPEN,
    (RelayState.CONNECTING, RelayInput.LINK_READY): RelayState.EXTENDING,
    (RelayState.CONNECTING, RelayInput.FAILED): RelayState.DRAINING,
    (RelayState.CONNECTING, RelayInput.GONE): RelayState.CLOSED,
    (RelayState.EXTENDING, RelayInput.CREATED): RelayState.OPEN,
    (RelayState.EXTENDING, RelayInput.FAILED): RelayState.DRAINING,
    (RelayState.EXTENDING, RelayInput.GONE): RelayState.CLOSED,
    (RelayState.OPEN, RelayInput.FAILED): RelayState.DRAINING,
    (RelayState.OPEN, RelayInput.GONE): RelayState.CLOSED,
    (RelayState.DRAINING, RelayInput.TOLD): RelayState.CLOSED,
    (RelayState.DRAINING, RelayInput.GONE): RelayState.CLOSED,
}


class OriginState(Enum):
    """A circuit at its client."""

    BUILDING = "CREATE sent"
    OPEN = "every hop answered"
    TRUNCATED = "a hop could not extend and is about to say why"
    CLOSED = "gone"


class OriginInput(Enum):
    """What happens to a circuit at its client."""

    CREATED = "every hop answered"
    CUT_SHORT = "only some hops answered"
    ENDED = "failed, destroyed or closed"


ORIGIN_TABLE: Final = {
    (OriginState.BUILDING, OriginInput.CREATED): OriginState.OPEN,
    (OriginState.BUILDING, OriginInput.CUT_SHORT): OriginState.TRUNCATED,
    (OriginState.BUILDING, OriginInput.ENDED): OriginState.CLOSED,
    (OriginState.OPEN, OriginInput.ENDED): OriginState.CLOSED,
    (OriginState.TRUNCATED, OriginInput.ENDED): OriginState.CLOSED,
}


class StreamState(Enum):
    """A stream at either end."""

    OPEN = "both directions"
    LOCAL_DONE = "we said END(DONE)"
    REMOTE_DONE = "they said END(DONE)"
    CLOSED = "gone"


class StreamInput(Enum):
    """What ends a stream, or one direction of it."""

    SAY_DONE = "we say END(DONE)"
    HEAR_DONE = "they say END(DONE)"
    ABORT = "either says END with another reason"


STREAM_TABLE: Final = {
    (StreamState.OPEN, StreamInput.SAY_DONE): StreamState.LOCAL_DONE,
    (StreamState.OPEN, StreamInput.HEAR_DONE): StreamState.REMOTE_DONE,
    (StreamState.OPEN, StreamInput.ABORT): StreamState.CLOSED,
    (StreamState.LOCAL_DONE, StreamInput.HEAR_DONE): StreamState.CLOSED,
    (StreamState.LOCAL_DONE, StreamInput.ABORT): StreamState.CLOSED,
    (StreamState.REMOTE_DONE, StreamInput.SAY_DONE): StreamState.CLOSED,
    (StreamState.REMOTE_DONE, StreamInput.ABORT): StreamState.CLOSED,
}


class RekeyState(Enum):
    """Rekey of one hop; the client passes ASKED, the hop ANSWERING and ANSWERED."""

    IDLE = "nothing in flight"
    ASKED = "REKEY sent or waiting to be sent"
    ANSWERING = "REKEYED waits to be sent"
    ANSWERED = "REKEYED sent"
    SWITCHING = "REKEY_SWITCH waits to be sent"


class RekeyInput(Enum):
    """Steps of a rekey."""

    ASK = "the client wants fresh keys"
    REKEY = "REKEY arrived"
    SENT = "the cell that carries REKEYED or REKEY_SWITCH was made"
    REKEYED = "REKEYED arrived"
    SWITCH = "REKEY_SWITCH arrived"


REKEY_TABLE: Final = {
    (RekeyState.IDLE, RekeyInput.ASK): RekeyState.ASKED,
    (RekeyState.ASKED, RekeyInput.REKEYED): RekeyState.SWITCHING,
    (RekeyState.SWITCHING, RekeyInput.SENT): RekeyState.IDLE,
    (RekeyState.IDLE, RekeyInput.REKEY): RekeyState.ANSWERING,
    (RekeyState.ANSWERING, RekeyInput.SENT): RekeyState.ANSWERED,
    (RekeyState.ANSWERED, RekeyInput.SWITCH): RekeyState.IDLE,
}


def step(table: dict[tuple[State, Change], State], state: State, change: Change) -> State:
    """Return the state that follows.

    Raises:
        RemoteProtocolError: the table does not allow this change now.
    """
    following = table.get((state, change))
    if following is None:
        raise RemoteProtocolError(f"{change.name} is not allowed in {state.name}")
    return following
