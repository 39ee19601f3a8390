"""The wait between a vote and its effect.

Source: OpenZeppelin TimelockController 5.7 `hashOperationBatch`; GovernorTimelockControl
`_timelockSalt`.
"""

from dataclasses import dataclass

from governance.errors import TimelockClosedError
from governance.proposal import Proposal
from qnet.chain.abi import encode_values
from qnet.crypto.keys import keccak256

_KINDS = ("address[]", "uint256[]", "bytes[]", "bytes32", "bytes32")
_NO_PREDECESSOR = bytes(32)


def operation_id(proposal: Proposal, governor: bytes) -> bytes:
    """Id under which the timelock holds a queued proposal, 32 bytes.

    Args:
        proposal: what was queued.
        governor: address of the governor, 20 bytes.
    """
    salt = bytes(
        a ^ b for a, b in zip(governor.ljust(32, b"\x00"), proposal.description_hash, strict=True)
    )
    values = (proposal.targets, proposal.values, proposal.calldatas, _NO_PREDECESSOR, salt)
    return keccak256(encode_values(_KINDS, values))


@dataclass(frozen=True, slots=True)
class Wait:
    """A queued proposal's waiting time.

    Attributes:
        eta: unix time from which it may be executed; 0 when it is not queued.
        now: time of the chain's latest block.
    """

    eta: int
    now: int

    @property
    def left_s(self) -> int:
        """Seconds until it may be executed, at least 0."""
        return max(0, self.eta - self.now)

    @property
    def is_over(self) -> bool:
        """Whether it may be executed."""
        return 0 < self.eta <= self.now

    def check(self) -> None:
        """Refuse an execution that comes too early.

        Raises:
            TimelockClosedError: says how long to wait.
        """
        if not self.is_over:
            raise TimelockClosedError(
                f"the timelock opens in {self.left_s} s",
                why="holders who disagree have this time to leave",
                try_=("qnet gov execute ID --wait",),
            )
