"""Errors of the chain client, the deployer and the embedded chain."""

from collections.abc import Mapping, Sequence

from qnet.chain.values import BlockMark
from qnet.errors import (
    ChainPreconditionError,
    ChainRecoverableError,
    ChainUnrecoverableError,
    ConfigError,
    NetworkError,
)


class ChainUnreachableError(ChainRecoverableError):
    """The node did not answer, or not with JSON-RPC."""

    code = "Q0914"


class ChainBusyError(ChainRecoverableError):
    """The node refused for now: fee too low, nonce taken by a transaction in flight, rate limit."""

    code = "Q0915"


class TransactionTimeoutError(ChainRecoverableError):
    """A transaction is out and was not mined or final in time.

    Args:
        tx_hash: its hash, 32 bytes; it may still be mined later.
    """

    code = "Q0916"

    def __init__(self, message: str, *, tx_hash: bytes) -> None:
        super().__init__(
            message,
            why="the chain is slow or the fee is too low",
            try_=("look up the transaction before sending it again",),
        )
        self.tx_hash = tx_hash


class ContractError(ChainPreconditionError):
    """A contract refused a call before anything was sent.

    Args:
        name: the contract's error, e.g. ``OutOfBounds``; "" if it gave none.
        arguments: its arguments by name.
        confirmed: whether the finalized state refuses too; if not, a transaction that is not final
            yet stands in the way and waiting may help.
        to: the contract called, as text.
        words: what the error means, in plain words.
        try_: steps that may help.
    """

    code = "Q0917"

    def __init__(
        self,
        name: str,
        arguments: Mapping[str, object],
        *,
        confirmed: bool = True,
        to: str = "",
        words: str = "",
        try_: Sequence[str] = (),
    ) -> None:
        listed = ", ".join(f"{key}={_shown(value)}" for key, value in arguments.items())
        said = f"{name}({listed})" if name else "no reason"
        super().__init__(
            f"the contract refused the call: {said}",
            why="; ".join(part for part in (words, f"called {to}" if to else "") if part),
            try_=try_,
        )
        self.name = name
        self.arguments = dict(arguments)
        self.confirmed = confirmed
        self.to = to


class TransactionFailedError(ChainUnrecoverableError):
    """A transaction was mined and reverted.

    Args:
        tx_hash: its hash, 32 bytes.
        reason: what the contract says when the call is repeated at that block, if anything.
    """

    code = "Q0918"

    def __init__(self, tx_hash: bytes, reason: ContractError | None) -> None:
        super().__init__(
            f"transaction 0x{tx_hash.hex()} was mined and reverted",
            why=reason.message if reason else "it ran out of gas or the state has changed",
        )
        self.tx_hash = tx_hash
        self.reason = reason


class NonceSpentError(ChainUnrecoverableError):
    """Another transaction of the account has taken the nonce of a prepared one."""

    code = "Q0919"


class WrongChainError(ChainUnrecoverableError):
    """The node serves another chain than the one configured."""

    code = "Q0930"


class ChainRestartedError(ChainUnrecoverableError):
    """The chain began anew or went back: what was read from it before no longer exists."""

    code = "Q0931"


class FinalityBrokenError(ChainUnrecoverableError):
    """A block the chain had called final was replaced.

    Args:
        block_number: the block.
        common: newest remembered block that still stands; None if there is none.
    """

    code = "Q0933"

    def __init__(self, block_number: int, common: BlockMark | None) -> None:
        super().__init__(
            f"final block {block_number} was replaced",
            why="the chain was reorganised deeper than it promised",
            try_=("check the node; what was read after the replaced block is read again",),
        )
        self.block_number = block_number
        self.common = common


class ContractAbsentError(ChainRecoverableError):
    """No contract stands at an address at the block asked about."""

    code = "Q0934"


class DeploymentMismatchError(ChainUnrecoverableError):
    """The contracts on the chain are not those of the manifest."""

    code = "Q0932"


class AnvilMissingError(ConfigError):
    """The embedded chain is not installed."""

    code = "Q0402"


class AnvilStartError(NetworkError):
    """The embedded chain did not start, or its port is taken."""

    code = "Q0802"


def _shown(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
