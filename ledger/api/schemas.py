"""What stands in paths and JSON bodies, checked before anything else sees it."""

import hmac
from typing import Any, Final

from aiohttp import web
from pydantic import ValidationError

from ledger.errors import UnauthorisedError
from ledger.service.audit_service import ResultsBody, SlotWork
from qnet import cbor
from qnet.errors import DecodeError
from qnet.messages.fields import U32_MAX, U64_MAX, Fields

MAX_DIGITS: Final = 20
MAX_NAMES: Final = 2048
_PEER_EPOCH: Final = frozenset({"epoch"})
_PEER_FETCH: Final = frozenset({"epoch", "names"})


def number(request: web.Request, name: str, maximum: int = U32_MAX) -> int:
    """A number in the path.

    Raises:
        DecodeError: not a decimal number within bounds.
    """
    return _number(request.match_info[name], name, maximum)


def queried(request: web.Request, name: str, maximum: int = U32_MAX) -> int | None:
    """A number in the query, None if it is not there.

    Raises:
        DecodeError: not a decimal number within bounds.
    """
    text = request.query.get(name)
    return None if text is None else _number(text, name, maximum)


def _number(text: str, name: str, maximum: int) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > MAX_DIGITS:
        raise DecodeError(f"{name} is not a number")
    value = int(text)
    if value > min(maximum, U64_MAX >> 1):
        raise DecodeError(f"{name} is too large")
    return value


def check_token(request: web.Request, token: str) -> None:
    """Check the auditor's bearer token.

    Raises:
        UnauthorisedError: missing or wrong.
    """
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if kind != "Bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise UnauthorisedError("the auditor's token is missing or wrong")


def parse_results(body: bytes) -> ResultsBody:
    """Read what an auditor posts.

    Raises:
        DecodeError: malformed or out of bounds.
    """
    try:
        return ResultsBody.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DecodeError("malformed audit results", why=f"{place}: {first['msg']}") from error


def slot_work_json(work: SlotWork) -> dict[str, Any]:
    """JSON of the assignments of a slot."""
    return {
        "epoch": work.epoch,
        "slot": work.slot,
        "slot_ends_at": work.ends_at,
        "targets": [
            {"index": item.target, "role": work.roles[item.target], "control": item.control}
            for item in work.targets
        ],
        "capacity": list(work.capacity),
        "burst_bytes": work.burst_bytes,
    }


def parse_inventory_call(body: bytes) -> int:
    """Epoch that a member asks the inventory of.

    Raises:
        DecodeError: malformed.
    """
    value = cbor.loads(body, max_bytes=64, max_depth=1)
    return Fields(value, _PEER_EPOCH, "inventory call").uint("epoch", U32_MAX)


def parse_fetch_call(body: bytes) -> tuple[int, list[bytes]]:
    """Epoch and names of the items that a member asks for.

    Raises:
        DecodeError: malformed or too many.
    """
    value = cbor.loads(body, max_bytes=32 * MAX_NAMES + 128, max_depth=1)
    fields = Fields(value, _PEER_FETCH, "fetch call")
    joined = fields.blob("names", multiple=32, maximum=MAX_NAMES)
    names = [joined[start : start + 32] for start in range(0, len(joined), 32)]
    return fields.uint("epoch", U32_MAX), names
