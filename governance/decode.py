"""What a proposal would do, in words, read from its call data alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from governance.proposal import SET_SELECTOR
from qnet.address import checksum_address
from qnet.parameters import BOUNDS

_SET_BYTES = 4 + 32 + 32


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """A decoded `Parameters.set`.

    Attributes:
        name: parameter.
        value: new value.
        known: whether this version of QNet knows the parameter.
        in_bounds: whether the value lies within the bounds this version knows.
    """

    name: str
    value: int
    known: bool
    in_bounds: bool


@dataclass(frozen=True, slots=True)
class Action:
    """One call of a proposal.

    Attributes:
        target: contract called, 20 bytes.
        contract: its name in the deployment, or UNKNOWN.
        value: wei sent along.
        calldata: selector and arguments.
        change: the parameter change it makes, if it is one.
    """

    target: bytes
    contract: str
    value: int
    calldata: bytes
    change: ParameterChange | None

    def describe(self, current: Mapping[str, int] | None = None) -> str:
        """Say in one line what the call does.

        Args:
            current: values in force, to show old and new.
        """
        where = f"{self.contract} {checksum_address(self.target)}"
        if self.change is None:
            selector = self.calldata[:4].hex() or "nothing"
            return f"call 0x{selector} ({len(self.calldata)} bytes) on {where}, value {self.value}"
        old = (current or {}).get(self.change.name)
        before = "" if old is None else f"{old} -> "
        doubt = "" if self.change.in_bounds else "  (OUT OF BOUNDS: would fail)"
        return f"set {self.change.name} {before}{self.change.value}{doubt} on {where}"


def decode_action(
    target: bytes, value: int, calldata: bytes, *, names: Mapping[bytes, str]
) -> Action:
    """Decode one call; data that fits no known function stays raw.

    Args:
        target: contract called, 20 bytes.
        value: wei sent along.
        calldata: selector and arguments, of any length.
        names: contract addresses of the deployment to names.
    """
    contract = names.get(target, "UNKNOWN")
    change = decode_set(calldata) if contract == "Parameters" else None
    return Action(target, contract, value, calldata, change)


def decode_set(calldata: bytes) -> ParameterChange | None:
    """Decode a call of `set(bytes32,uint256)`; None when it is anything else."""
    if len(calldata) != _SET_BYTES or calldata[:4] != SET_SELECTOR:
        return None
    name = calldata[4:36].rstrip(b"\x00").decode("ascii", errors="replace")
    value = int.from_bytes(calldata[36:], "big")
    bounds = BOUNDS.get(name)
    inside = bounds is not None and bounds.low <= value <= bounds.high
    return ParameterChange(name, value, bounds is not None, inside)
