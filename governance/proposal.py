"""Proposals: what they call, what they say, and the id both sides compute.

Source: OpenZeppelin Governor 5.7, `hashProposal` and `_isValidDescriptionForProposer`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from governance.errors import ValueRefusedError
from qnet.address import checksum_address
from qnet.chain.abi import encode_values
from qnet.crypto.keys import keccak256
from qnet.errors import UsageError
from qnet.parameters import BOUNDS, NetworkParameters, parameter_key

SET_SELECTOR = keccak256(b"set(bytes32,uint256)")[:4]
MAX_ACTIONS = 10
MAX_DESCRIPTION_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Proposal:
    """Calls the timelock will make if holders agree, and why.

    Attributes:
        targets: contracts called, 20 bytes each, at most 10.
        values: wei of the chain's own coin sent with each call.
        calldatas: selector and arguments of each call.
        description: Markdown, ending in `#proposer=0x…`.
    """

    targets: tuple[bytes, ...]
    values: tuple[int, ...]
    calldatas: tuple[bytes, ...]
    description: str

    def __post_init__(self) -> None:
        """Refuse shapes the governor would refuse."""
        if not 1 <= len(self.targets) <= MAX_ACTIONS:
            raise UsageError(f"a proposal has 1 to {MAX_ACTIONS} actions, not {len(self.targets)}")
        if not len(self.targets) == len(self.values) == len(self.calldatas):
            raise UsageError("targets, values and calls differ in number")
        if len(self.description.encode()) > MAX_DESCRIPTION_BYTES:
            raise UsageError(f"the description is longer than {MAX_DESCRIPTION_BYTES} bytes")

    @property
    def description_hash(self) -> bytes:
        """keccak256 of the description in UTF-8."""
        return keccak256(self.description.encode())

    @property
    def proposal_id(self) -> int:
        """The id the governor gives it: keccak256 of its ABI-encoded parts."""
        kinds = ("address[]", "uint256[]", "bytes[]", "bytes32")
        parts = (self.targets, self.values, self.calldatas, self.description_hash)
        return int.from_bytes(keccak256(encode_values(kinds, parts)), "big")

    @property
    def title(self) -> str:
        """First line of the description without its heading mark."""
        return self.description.partition("\n")[0].lstrip("# ").strip()


def set_parameter_call(name: str, value: int) -> bytes:
    """Call data of `Parameters.set(key, value)`.

    Raises:
        NotFoundError: no such parameter.
        ValueRefusedError: the value lies outside the parameter's bounds.
    """
    check_bounds(name, value)
    return SET_SELECTOR + parameter_key(name) + value.to_bytes(32, "big")


def check_bounds(name: str, value: int) -> None:
    """Refuse an unknown parameter or a value outside its bounds.

    Raises:
        NotFoundError: no such parameter.
        ValueRefusedError: the value lies outside the parameter's bounds.
    """
    try:
        NetworkParameters.profile("main").with_value(name, value)
    except UsageError as error:
        low, high = BOUNDS[name].low, BOUNDS[name].high
        raise ValueRefusedError(
            f"{name} = {value} is out of bounds",
            why=f"it must lie between {low} and {high}",
            try_=(f"qnet gov params {name}",),
        ) from error


def parameter_change(
    *,
    parameters: bytes,
    name: str,
    old: int,
    new: int,
    proposer: bytes,
    now: float,
    reason: str = "",
) -> Proposal:
    """Propose one new parameter value.

    Args:
        parameters: address of the Parameters contract, 20 bytes.
        name: parameter, as in `NetworkParameters`.
        old: value in force, told in the text.
        new: value wanted.
        proposer: the only account that may bring the proposal in, 20 bytes.
        now: unix time; keeps the id of a repeated proposal distinct.
        reason: a few words for the voters, Markdown.

    Raises:
        NotFoundError: no such parameter.
        ValueRefusedError: the value lies outside the parameter's bounds.
        UsageError: it would change nothing.
    """
    call = set_parameter_call(name, new)
    if old == new:
        raise UsageError(f"{name} is {new} already", try_=(f"qnet gov params {name}",))
    return Proposal(
        targets=(parameters,),
        values=(0,),
        calldatas=(call,),
        description=_describe(name, old, new, proposer, now, reason),
    )


def _describe(name: str, old: int, new: int, proposer: bytes, now: float, reason: str) -> str:
    written = datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    paragraphs = [
        f"# Set {name} from {old} to {new}",
        f"{BOUNDS[name].meaning.capitalize()}.",
        reason.strip(),
        f"Written {written}.",
        # The governor accepts a description that ends so from this account only, so nobody can
        # bring the same proposal in first and cancel it.
        f"#proposer={checksum_address(proposer)}",
    ]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
