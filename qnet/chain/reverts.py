"""Names and arguments of the reasons for which contracts refuse."""

from dataclasses import dataclass
from functools import cache

from qnet.chain.abi import SELECTOR_BYTES, STANDARD_ERRORS, Entry
from qnet.chain.artifact import all_artifacts
from qnet.chain.errors import ContractError
from qnet.chain.explanations import HINTS, LIBRARY_ERRORS
from qnet.errors import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class KnownError:
    """A reason to refuse: its interface, and what it means in plain words."""

    entry: Entry
    words: str


@cache
def known_errors() -> dict[bytes, KnownError]:
    """Selector → error, of every contract of the project."""
    known = {
        selector: KnownError(entry, LIBRARY_ERRORS[entry.name])
        for selector, entry in STANDARD_ERRORS.items()
    }
    for artifact in all_artifacts():
        for selector, entry in artifact.abi.errors.items():
            own = artifact.error_words.get(entry.signature, "")
            known[selector] = KnownError(entry, own or LIBRARY_ERRORS.get(entry.name, ""))
    return known


def decode_revert(data: bytes, *, fallback: str, target: str) -> ContractError:
    """Turn the data of a revert into a typed error.

    Args:
        data: selector and arguments; may be empty.
        fallback: what the node said, used where the data tells nothing.
        target: what was called, for people.
    """
    found = _declared(target, data[:SELECTOR_BYTES])
    if found is not None:
        name = found.entry.name
        arguments: dict[str, object]
        try:
            arguments = found.entry.decode_arguments(data[SELECTOR_BYTES:])
        except RemoteProtocolError:
            arguments = {"data": data[SELECTOR_BYTES:]}
        try_ = HINTS.get(name, ())
        return ContractError(name, arguments, to=target, words=found.words, try_=try_)
    if data:
        return ContractError("unknown error", {"data": data}, to=target)
    said = fallback.removeprefix("execution reverted").strip(" :")
    return ContractError("", {}, to=f"{target}: {said}" if said else target)


def _declared(target: str, selector: bytes) -> KnownError | None:
    """Prefer the declaration of the contract that was called: some errors are those of several."""
    found = known_errors().get(selector)
    called = target.partition(".")[0]
    for artifact in all_artifacts():
        entry = artifact.abi.errors.get(selector)
        if found is not None and entry is not None and artifact.name == called:
            return KnownError(entry, artifact.error_words.get(entry.signature, found.words))
    return found
