"""Errors of node and client software; every one is a kind of `qnet.errors.QnetError`.

An error names the stage that failed and its cause (`why`), and what a person can try (`try_`).
"""

from __future__ import annotations

from enum import StrEnum

from node.htx.events import CloseReason
from qnet.errors import (
    ConfigError,
    DaemonOffError,
    FundsError,
    KeyAccessError,
    NetworkError,
    NotFoundError,
    RejectedError,
    RemoteProtocolError,
    UsageError,
)


class Stage(StrEnum):
    """Steps on the way from a client to a destination, in order; errors and status name one.

    The last four are conditions of the machine and its network.
    """

    BUNDLE = "bundle"
    CACHE = "cache"
    SEED = "seed"
    BRIDGE = "bridge"
    CHAIN = "chain"
    CONSENSUS = "consensus"
    PATH = "path"
    LINK = "link"
    CIRCUIT = "circuit"
    RESOLVE = "resolve"
    CONNECT = "connect"
    TRANSFER = "transfer"
    PORTS = "ports"
    ADDRESS = "address"
    PORTAL = "portal"
    CLOCK = "clock"
    SUSPEND = "suspend"


class Heard(StrEnum):
    """How far a failed dial came: what of the other side was heard."""

    NOTHING = "no connection"
    SILENCE = "connected, then nothing"
    GARBLED = "an answer that is not TLS as we speak it"
    TLS = "a TLS server"


class NodeConfigError(ConfigError):
    """A node's or client's TOML, bundle or key file cannot be used."""

    code = "Q0410"


class ExitPolicyError(ConfigError):
    """An exit policy cannot be read."""

    code = "Q0411"


class NodeOffError(DaemonOffError):
    """Nothing answers on the control socket."""

    code = "Q0510"


class UnknownNodeError(NotFoundError):
    """A node is not in the consensus."""

    code = "Q0310"


class StageError(NetworkError):
    """A stage between client and destination failed.

    Attributes:
        stage: Which one.
    """

    code = "Q0810"

    def __init__(
        self, stage: Stage, message: str, *, why: str = "", try_: tuple[str, ...] = ()
    ) -> None:
        super().__init__(f"{stage}: {message}", why=why, try_=try_)
        self.stage = stage


class BootstrapError(StageError):
    """No seed gave a consensus signed by a quorum."""

    code = "Q0811"


class TrustAgeError(BootstrapError):
    """The committee that this client knows is too old to be believed without another source."""

    code = "Q0818"


class ClockError(BootstrapError):
    """The local clock contradicts what a quorum of the committee signed.

    Attributes:
        offset_s: Seconds to add to the local clock, as far as is known; negative when it is ahead.
    """

    code = "Q0819"

    def __init__(self, message: str, *, offset_s: float, why: str) -> None:
        super().__init__(
            Stage.CLOCK, message, why=why, try_=("set the clock of this machine, then try again",)
        )
        self.offset_s = offset_s


class CircuitError(StageError):
    """A circuit could not be built or broke."""

    code = "Q0812"


class StreamError(StageError):
    """A stream could not be opened or ended early."""

    code = "Q0813"


class ConnectError(StreamError):
    """A destination did not take the connection.

    Attributes:
        cause: `refused`, `timeout`, `unreachable`, or `internal` for a fault of this machine.
    """

    code = "Q0840"

    def __init__(self, cause: str, message: str, *, why: str) -> None:
        super().__init__(Stage.CONNECT, message, why=why)
        self.cause = cause


class ResolveError(StageError):
    """A name could not be resolved.

    Attributes:
        rcode: DNS response code or `TIMEOUT`; the metric label.
    """

    code = "Q0814"

    def __init__(self, message: str, *, rcode: str, why: str = "") -> None:
        super().__init__(Stage.RESOLVE, message, why=why)
        self.rcode = rcode


class LedgerUnavailableError(NetworkError):
    """No committee member answered."""

    code = "Q0815"


class ExitRefusedError(RejectedError):
    """The exit's policy, or the private-address rule, refuses a destination.

    Attributes:
        rule: `private`, `own` or `policy`; the metric label.
    """

    code = "Q0950"

    def __init__(self, message: str, *, rule: str) -> None:
        super().__init__(message, why=f"refused by rule: {rule}")
        self.rule = rule


class DoorError(RemoteProtocolError):
    """An application sent what its front door does not serve.

    Attributes:
        answer: Bytes to send before closing; empty when there is nothing to say.
    """

    code = "Q0952"

    def __init__(self, message: str, *, answer: bytes = b"") -> None:
        super().__init__(message)
        self.answer = answer


class ExitLimitError(RejectedError):
    """An exit has as many connections, of one kind, as it may.

    Attributes:
        cause: Which cap; the metric label.
    """

    code = "Q0956"

    def __init__(self, cause: str) -> None:
        super().__init__("the exit is at its limit", why=cause)
        self.cause = cause


class ControlError(RemoteProtocolError):
    """A request or answer on the control socket is malformed or too long."""

    code = "Q0953"


class AddressError(UsageError):
    """An `htx://` line cannot be read; the message names the part."""

    code = "Q0210"


class TemplateError(ConfigError):
    """A browser template cannot be read."""

    code = "Q0420"


class LinkError(StageError):
    """A link could not be opened.

    Attributes:
        reason: why, as far as this side can tell.
        heard: what of the other side was heard.
        number: errno of a connection that failed; 0 for none.
        told_s: unix time by the server's web site, told over TLS with the pinned key; 0 for none.
    """

    code = "Q0807"

    def __init__(
        self,
        reason: CloseReason,
        message: str,
        *,
        why: str = "",
        heard: Heard = Heard.NOTHING,
        number: int = 0,
        told_s: float = 0.0,
    ) -> None:
        super().__init__(Stage.LINK, message, why=why)
        self.reason = reason
        self.heard = heard
        self.number = number
        self.told_s = told_s


class HandshakeRefusedError(RemoteProtocolError):
    """A handshake cannot go on, for a reason that the owner of the link may know.

    Attributes:
        reason: which one.
    """

    code = "Q0951"

    def __init__(self, reason: CloseReason) -> None:
        super().__init__(f"handshake refused: {reason.name}")
        self.reason = reason


class EnclosureError(KeyAccessError):
    """This machine does not let a program run with the proxy as its only way out."""

    code = "Q0610"


class WalletMissingError(NotFoundError):
    """There is no premium wallet yet."""

    code = "Q0350"


class WalletDamagedError(ConfigError):
    """The file of a premium wallet is cut off or changed; nothing in it is used."""

    code = "Q0440"


class WalletBusyError(RejectedError):
    """Another program has opened the premium wallet."""

    code = "Q0970"


class SpendingLimitError(FundsError):
    """A purchase would exceed what may be spent in a day, or what the channel holds."""

    code = "Q0750"


class IssuersSilentError(NetworkError):
    """Fewer committee members than needed gave a right answer to a purchase or a swap."""

    code = "Q0850"


class IssuersRefusedError(RejectedError):
    """So many committee members refuse a request that the others cannot serve it.

    Attributes:
        reasons: their words, most frequent first.
        served: members that serve it all the same; the others may yet learn of it from them.
    """

    code = "Q0971"

    def __init__(self, reasons: tuple[str, ...], served: int = 0) -> None:
        super().__init__("the committee refuses the request", why="; ".join(reasons))
        self.reasons = reasons
        self.served = served


class IssuerKeysError(RemoteProtocolError):
    """No committee member shows keys whose hash is on the chain."""

    code = "Q0972"


class MixOffError(RejectedError):
    """The client runs without the mixnet."""

    code = "Q0973"

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            why="client.toml does not say messages = true in [mix]",
            try_=("qnet client down", "qnet client up --messages"),
        )
