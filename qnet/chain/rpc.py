"""JSON-RPC over HTTP with a deadline and a limit on every answer."""

import json
import sys
from typing import Any, Final, Self

import aiohttp
from web3.providers.async_base import AsyncJSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from qnet.chain.errors import ChainUnreachableError

DEFAULT_TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 16 << 20

# web3's imports lift the interpreter's recursion limit to 100,000 (py_ecc does), so deep that
# hostile JSON ends the process instead of raising RecursionError; put the default back.
sys.setrecursionlimit(1000)


class BoundedProvider(AsyncJSONBaseProvider):
    """The HTTP provider that web3 speaks through.

    Unlike web3's own it never follows a contract's wish to look something up elsewhere
    (EIP-3668), reads no more than `max_answer_bytes` and owns its session.

    Args:
        url: ``http(s)://`` address of the node.
        timeout_s: deadline of one request, in seconds.
        max_answer_bytes: an answer longer than this is refused.
    """

    global_ccip_read_enabled = False

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        super().__init__()
        self.url = url
        self._timeout_s = timeout_s
        self._max_answer_bytes = max_answer_bytes
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._timeout_s), auto_decompress=False
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Send one request; errors reported by the node are part of the answer.

        Raises:
            ChainUnreachableError: no answer in time, too long, or not JSON-RPC.
        """
        body = self.encode_rpc_request(method, params)
        try:
            status, answer = await self._exchange(body, may_repeat=method.startswith("eth_"))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(str(error) or type(error).__name__) from error
        try:
            decoded = json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise self._unreachable(f"HTTP {status} without JSON") from error
        if not isinstance(decoded, dict) or not ({"result", "error"} & decoded.keys()):
            raise self._unreachable(f"HTTP {status} is no JSON-RPC answer")
        return decoded  # type: ignore[return-value]  # checked: an object with result or error

    async def _exchange(self, body: bytes, *, may_repeat: bool) -> tuple[int, bytes]:
        """Post once, and once more if the node had just closed the kept connection.

        Every ``eth_`` method is harmless to repeat: a transaction has one hash.
        """
        if self._session is None:
            raise ChainUnreachableError("the chain client is closed")
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(self.url, data=body, headers=headers) as response:
                return response.status, await self._read(response)
        except aiohttp.ServerDisconnectedError:
            if not may_repeat:
                raise
        return await self._exchange(body, may_repeat=False)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        chunks = bytearray()
        async for chunk in response.content.iter_any():
            chunks += chunk
            if len(chunks) > self._max_answer_bytes:
                raise self._unreachable(f"an answer is longer than {self._max_answer_bytes} bytes")
        return bytes(chunks)

    def _unreachable(self, why: str) -> ChainUnreachableError:
        return ChainUnreachableError(
            f"the chain at {self.url} does not answer",
            why=why,
            try_=("check that the node runs and that `rpc` names it",),
        )
