"""Names and arguments of the reasons for which contracts refuse."""

from functools import cache

from qnet.chain.abi import SELECTOR_BYTES, STANDARD_ERRORS, Entry
from qnet.chain.artifact import all_artifacts
from qnet.chain.errors import ContractError
from qnet.errors import RemoteProtocolError


@cache
def _known_errors() -> dict[bytes, Entry]:
    """Selector → error, of every contract of the project."""
    known = dict(STANDARD_ERRORS)
    for artifact in all_artifacts():
        known.update(artifact.abi.errors)
    return known


def decode_revert(data: bytes, *, fallback: str, target: str) -> ContractError:
    """Turn the data of a revert into a typed error.

    Args:
        data: selector and arguments; may be empty.
        fallback: what the node said, used where the data tells nothing.
        target: what was called, for people.
    """
    entry = _known_errors().get(data[:SELECTOR_BYTES])
    if entry is not None:
        try:
            arguments = entry.decode_arguments(data[SELECTOR_BYTES:])
        except RemoteProtocolError:
            return ContractError(entry.name, {"data": data[SELECTOR_BYTES:]}, to=target)
        return ContractError(entry.name, arguments, to=target)
    if data:
        return ContractError("unknown error", {"data": data}, to=target)
    said = fallback.removeprefix("execution reverted").strip(" :")
    return ContractError("", {}, to=f"{target}: {said}" if said else target)
