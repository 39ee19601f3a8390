"""The link core: bytes from TLS in, events and bytes for TLS out. No sockets, no clock.

Stages, in order; each is left once:

    ADMISSION   HTTP/2 as Chrome and a web site speak it      -> HANDSHAKE
    HANDSHAKE   three Noise messages                          -> OPEN
    OPEN        records                                       -> CLOSED
    CLOSED      nothing is read or sent any more

A server without a ticket stays in ADMISSION and is a web site. Any failure leads to CLOSED.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from node.errors import HandshakeRefusedError
from node.htx.address import HtxAddress
from node.htx.admission import ServerAdmission
from node.htx.cover import DEFAULT, CoverProfile
from node.htx.events import (
    CellsReceived,
    CloseReason,
    LinkClosed,
    LinkEvent,
    LinkOpened,
    PeerIdentity,
)
from node.htx.gate import Gate
from node.htx.handshake import (
    MAX_FRAME_BYTES,
    MIN_REPLY_BYTES,
    InitiatorHandshake,
    LinkKeysOf,
    ResponderHandshake,
    Secured,
    prologue,
    record_cipher,
)
from node.htx.http2_client import CarrierWeights, ClientAdmission, date_in, opening, request
from node.htx.keys import LocalIdentity, ServerKeys
from node.htx.record import RecordType
from node.htx.session import LinkStats, Session
from node.htx.site import Site
from node.htx.template import ChromeTemplate
from node.htx.ticket import Random, encode_token, issue
from qnet.errors import CryptoError, LocalProtocolError, RemoteProtocolError
from qnet.parameters import NetworkParameters

SITE_IDLE_S: Final = 75.0
"""A visitor of the web site who says nothing is cut off after this."""
_LENGTH_BYTES: Final = 2


class LinkStage(Enum):
    """How far a link has come."""

    ADMISSION = "admission"
    HANDSHAKE = "handshake"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """What all links of a program share.

    Attributes:
        parameters: periods and bounds.
        random: source of random bytes.
        cover: what to send after traffic.
        features: feature bits to offer and to agree to.
    """

    parameters: NetworkParameters
    random: Random
    cover: CoverProfile = DEFAULT
    features: int = 0


class LinkCore(ABC):
    """What both ends have in common.

    Args:
        settings: shared settings.
        now: monotonic time, seconds.
    """

    initiator = False

    def __init__(self, settings: LinkSettings, now: float) -> None:
        self.stage = LinkStage.ADMISSION
        self._settings = settings
        self._deadline = now + settings.parameters.link_handshake_s
        self._out: list[bytes] = []
        self._buffer = b""
        self._session: Session | None = None

    # what the owner calls

    @property
    def stats(self) -> LinkStats:
        """Counters; all zero before the link is open."""
        return self._session.stats if self._session else LinkStats()

    @property
    def pending_bytes(self) -> int:
        """Bytes given to this link and not taken by `data_to_send`."""
        return self._session.pending_bytes if self._session else 0

    def send_cells(self, cells: Iterable[bytes]) -> None:
        """Queue cells of 2,048 bytes."""
        self._opened().send_cells(cells)

    def send_record(self, kind: RecordType, content: bytes) -> None:
        """Queue a record of the owner."""
        self._opened().send_record(kind, content)

    def close(self, reason: CloseReason) -> None:
        """Queue CLOSE, if the link is open; nothing may be sent after it."""
        if self._session is not None and self.stage is LinkStage.OPEN:
            self._session.close(reason)

    def data_to_send(self, now: float) -> list[bytes]:
        """Return the pieces due, each to be written as one TLS record."""
        session = self._session
        if session is None or self.stage is LinkStage.CLOSED:
            out, self._out = self._out, []
            return out
        if self._out:
            out, self._out = self._out, []
            return out + session.data_to_send(now)
        return session.data_to_send(now)

    def receive(self, data: bytes, now: float) -> list[LinkEvent]:
        """Take bytes from TLS; never raises for what the peer did, but ends the link."""
        try:
            if self.stage is LinkStage.OPEN and self._session is not None:
                events = self._session.receive(data, now)
                if events and isinstance(events[-1], LinkClosed):
                    self.stage = LinkStage.CLOSED
                return events
            if self.stage is LinkStage.CLOSED:
                return []
            return self._receive_early(data, now)
        except HandshakeRefusedError as error:
            return self._fail(error.reason)
        except CryptoError:
            return self._fail(CloseReason.CRYPTO)
        except RemoteProtocolError:
            return self._fail(CloseReason.PROTOCOL)

    def receive_all(self, pieces: Iterable[bytes], now: float) -> list[LinkEvent]:
        """Take all that TLS has, as `receive` does, and join cells that came in a row."""
        events: list[LinkEvent] = []
        cells: list[bytes] | None = None
        for piece in pieces:
            for event in self.receive(piece, now):
                if not isinstance(event, CellsReceived):
                    cells = None
                elif cells is not None:
                    cells += event.cells
                    continue
                else:
                    cells = event.cells
                events.append(event)
        return events

    def tick(self, now: float) -> list[LinkEvent]:
        """Do what is due at this time."""
        if self.stage is LinkStage.CLOSED:
            return []
        if self._session is None:
            return self._fail(CloseReason.TIMEOUT) if now >= self._deadline else []
        reason = self._session.tick(now)
        return self._fail(reason) if reason is not None else []

    def next_tick(self) -> float:
        """When `tick` should be called, at the latest."""
        return self._session.next_tick() if self._session else self._deadline

    # what the two ends share

    def _opened(self) -> Session:
        if self._session is None or self.stage is not LinkStage.OPEN:
            raise LocalProtocolError("the link is not open")
        return self._session

    def _fail(self, reason: CloseReason) -> list[LinkEvent]:
        self.stage = LinkStage.CLOSED
        self._out, self._buffer = [], b""
        if self._session is not None:
            self._session.erase()
        return [LinkClosed(reason)]

    @abstractmethod
    def _receive_early(self, data: bytes, now: float) -> list[LinkEvent]:
        """Take what arrives before the link is open."""

    def _take_message(self, data: bytes, least: int) -> bytes | None:
        """Collect one handshake message; None while it is not complete."""
        self._buffer += data
        if len(self._buffer) < _LENGTH_BYTES:
            return None
        length = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
        if not least <= length <= MAX_FRAME_BYTES:
            raise HandshakeRefusedError(CloseReason.NOT_ADMITTED)
        end = _LENGTH_BYTES + length
        if len(self._buffer) < end:
            return None
        message, self._buffer = self._buffer[_LENGTH_BYTES:end], self._buffer[end:]
        return message

    def _open(self, secured: Secured, *, local_is_node: bool, now: float) -> list[LinkEvent]:
        self._session = Session(
            secured.root,
            secured.peer,
            initiator=self.initiator,
            health=local_is_node and secured.peer.is_node,
            parameters=self._settings.parameters,
            random=self._settings.random,
            now=now,
            cover=self._settings.cover,
            cipher=record_cipher(secured.features),
        )
        self.stage = LinkStage.OPEN
        opened = LinkOpened(secured.peer, secured.version, secured.features)
        rest, self._buffer = self._buffer, b""
        return [opened, *(self.receive(rest, now) if rest else ())]


class ClientLink(LinkCore):
    """The dialling end. Made after TLS is up and the certificate's key was checked.

    Args:
        address: who is dialled; its `spki` is what the server showed.
        identity: who dials; None for a client.
        peer_role: role of the dialled node as the caller knows it.
        peer_id: its node id, 32 bytes.
        template: what the outside looks like.
        settings: shared settings.
        now: monotonic time, seconds.
        unix_s: unix time, seconds.
        weights: where the ticket travels.
    """

    initiator = True

    def __init__(
        self,
        address: HtxAddress,
        *,
        identity: LocalIdentity | None,
        peer: PeerIdentity,
        template: ChromeTemplate,
        settings: LinkSettings,
        now: float,
        unix_s: float,
        weights: CarrierWeights = CarrierWeights(),  # noqa: B008 -- frozen
    ) -> None:
        super().__init__(settings, now)
        random = settings.random
        ticket = issue(
            address.ticket_key, address.ticket_id, address.spki, unix_s=unix_s, random=random
        )
        self._peer = peer
        self._identity = identity
        self._admission: ClientAdmission | None = ClientAdmission()
        self._head = b""
        binding = prologue(ticket.encode(), address.spki)
        self._handshake: InitiatorHandshake | None = InitiatorHandshake(
            address.link_key, binding, identity, random, features=settings.features
        )
        token = encode_token(ticket, random)
        carrier = weights.draw(random)
        self._out = [opening(template), request(template, address.sni, token, carrier)]

    @property
    def site_time_s(self) -> float:
        """Unix time that the web site told in its response; 0 when it told none."""
        head = self._admission.head if self._admission is not None else self._head
        return date_in(head) if head else 0.0

    def _receive_early(self, data: bytes, now: float) -> list[LinkEvent]:
        assert self._handshake is not None
        if self._admission is not None:
            reply = self._admission.receive(data)
            if reply:
                self._out.append(reply)
            if not self._admission.admitted:
                return []
            self.stage = LinkStage.HANDSHAKE
            self._out.append(self._handshake.start())
            data, self._head = self._admission.inner, self._admission.head
            self._admission = None
        message = self._take_message(data, MIN_REPLY_BYTES)
        if message is None:
            return []
        last, secured = self._handshake.finish(message, self._peer)
        self._handshake = None
        self._out.append(last)
        return self._open(secured, local_is_node=self._identity is not None, now=now)


class ServerLink(LinkCore):
    """The accepting end. Made after TLS is up.

    Args:
        alpn: protocol that TLS agreed on.
        source: address of the peer.
        keys: own keys.
        gate: decides about tickets.
        site: what everybody else sees.
        link_keys_of: link keys of nodes that may dial.
        settings: shared settings.
        now: monotonic time, seconds.
        clock: unix time, seconds.
        links: whether a ticket may make this connection a link (TLS 1.3).
    """

    def __init__(
        self,
        alpn: str | None,
        *,
        source: str,
        keys: ServerKeys,
        gate: Gate,
        site: Site,
        link_keys_of: LinkKeysOf,
        settings: LinkSettings,
        now: float,
        clock: Callable[[], float],
        links: bool = True,
    ) -> None:
        super().__init__(settings, now)
        self._keys = keys
        self._link_keys_of = link_keys_of
        admission = ServerAdmission(
            alpn, site=site, gate=gate, source=source, clock=clock, links=links
        )
        self._admission: ServerAdmission | None = admission
        self._handshake: ResponderHandshake | None = None
        self._answered = False
        self._deadline = now + SITE_IDLE_S
        first = admission.start()
        self._out = [first] if first else []

    @property
    def is_visitor(self) -> bool:
        """Whether the peer has shown no ticket."""
        return self._admission is not None and self._admission.ticket is None

    def _receive_early(self, data: bytes, now: float) -> list[LinkEvent]:
        if self._admission is not None:
            return self._receive_http(self._admission, data, now)
        assert self._handshake is not None
        return self._receive_handshake(self._handshake, data, now)

    def _receive_http(self, admission: ServerAdmission, data: bytes, now: float) -> list[LinkEvent]:
        reply = admission.receive(data)
        if reply:
            self._out.append(reply)
        if admission.closed:
            self.stage = LinkStage.CLOSED
            return [LinkClosed(CloseReason.DONE)]
        if admission.ticket is None:
            self._deadline = now + SITE_IDLE_S
            return []
        if self.stage is LinkStage.ADMISSION:
            self.stage = LinkStage.HANDSHAKE
            self._deadline = now + self._settings.parameters.link_handshake_s
        if admission.inner is None:
            return []
        self._handshake = ResponderHandshake(
            self._keys.link_keys,
            prologue(admission.ticket.encode(), self._keys.spki_hash),
            self._link_keys_of,
            self._settings.random,
            self._settings.features,
        )
        self._admission = None
        return self._receive_handshake(self._handshake, admission.inner, now)

    def _receive_handshake(
        self, handshake: ResponderHandshake, data: bytes, now: float
    ) -> list[LinkEvent]:
        message = self._take_message(data, 0)
        if message is None:
            return []
        if not self._answered:
            self._answered = True
            self._out.append(handshake.respond(message))
            return []
        secured = handshake.finish(message)
        self._handshake = None
        return self._open(secured, local_is_node=True, now=now)
