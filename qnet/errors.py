"""The exception tree of QNet.

Every error a user can meet derives from :class:`QnetError` and carries a code, an exit code
(design of the command line), the reason and what to try. Errors carry fields, never secrets;
failures of cryptography all look alike.
"""

from collections.abc import Sequence
from typing import ClassVar


class QnetError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: what happened, in one line.
        why: the cause, if it is known.
        try_: commands or steps that may help, best first.
    """

    code: ClassVar[str] = "Q0001"
    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, why: str = "", try_: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.why = why
        self.try_ = tuple(try_)


class UsageError(QnetError):
    """The command was called with words or values it does not take."""

    code = "Q0201"
    exit_code = 2


class NotFoundError(QnetError):
    """The thing named does not exist."""

    code = "Q0301"
    exit_code = 3


class ConfigError(QnetError):
    """A configuration file or value is not valid."""

    code = "Q0401"
    exit_code = 4


class DaemonOffError(QnetError):
    """The program that should answer is not running."""

    code = "Q0501"
    exit_code = 5


class KeyAccessError(QnetError):
    """A key, passphrase or file permission stands in the way."""

    code = "Q0601"
    exit_code = 6


class FundsError(QnetError):
    """Funds, stake or quota do not suffice."""

    code = "Q0701"
    exit_code = 7


class NetworkError(QnetError):
    """A peer, the chain or the network could not be reached in time."""

    code = "Q0801"
    exit_code = 8


class RejectedError(QnetError):
    """The chain, a peer or a policy said no."""

    code = "Q0901"
    exit_code = 9


class ProtocolError(QnetError):
    """A rule of the protocol was broken."""

    code = "Q0902"
    exit_code = 9


class LocalProtocolError(ProtocolError):
    """Our own code asked for something the protocol does not allow now."""

    code = "Q0903"


class RemoteProtocolError(ProtocolError):
    """The peer broke a rule of the protocol."""

    code = "Q0904"


class DecodeError(RemoteProtocolError):
    """Bytes do not encode what they should."""

    code = "Q0905"


class CryptoError(RemoteProtocolError):
    """A tag, signature or key is not valid; the message never says which."""

    code = "Q0906"

    def __init__(self, message: str = "cryptographic check failed") -> None:
        super().__init__(message)


class ChainError(QnetError):
    """Base of the errors of the chain client."""

    code = "Q0910"
    exit_code = 9


class ChainRecoverableError(ChainError):
    """Trying again later may succeed (node busy, timeout, fee too low)."""

    code = "Q0911"
    exit_code = 8


class ChainUnrecoverableError(ChainError):
    """Trying again cannot succeed (revert, wrong chain, restarted chain)."""

    code = "Q0912"


class ChainPreconditionError(ChainError):
    """The chain's state at a confirmed block does not allow the call."""

    code = "Q0913"
