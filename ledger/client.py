"""Asks a running member over its own HTTP interface."""

import json
from typing import Any, Final

import aiohttp

from ledger.config import LedgerConfig
from qnet.errors import DaemonOffError, NetworkError, NotFoundError

TIMEOUT_S: Final = 15.0
MAX_ANSWER_BYTES: Final = 64 << 20


async def get_bytes(url: str) -> bytes:
    """Fetch a URL, bounded in size and time.

    Raises:
        DaemonOffError: nothing answers.
        NotFoundError: it says that there is nothing (yet).
        NetworkError: another refusal, or too long.
    """
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.get(url) as response,
        ):
            parts: list[bytes] = []
            async for chunk in response.content.iter_chunked(1 << 16):
                parts.append(chunk)
                if sum(map(len, parts)) > MAX_ANSWER_BYTES:
                    raise NetworkError(f"{url} answers too much")
            body = b"".join(parts)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise DaemonOffError(
            f"no committee member answers at {url}",
            why=str(error) or type(error).__name__,
            try_=("qnet ledger run --home …", "qnet devnet status"),
        ) from error
    if response.status == 404:
        raise NotFoundError(f"{url}: nothing there yet", why=_reason(body))
    if response.status != 200:
        raise NetworkError(f"{url} answers HTTP {response.status}", why=_reason(body))
    return body


async def get_json(config: LedgerConfig, path: str) -> dict[str, Any]:
    """Ask the member of this home.

    Raises:
        DaemonOffError: it does not run.
        NotFoundError: it does not have that.
        NetworkError: it refuses.
    """
    body = await get_bytes(config.member.peers[config.member.index] + path)
    value = json.loads(body)
    if not isinstance(value, dict):
        raise NetworkError("the member's answer is not what it should be")
    return value


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return ""
