"""One running member in a thread of its own, for tests that ask it over HTTP."""

import asyncio
import http.client
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ledger import app as app_module
from ledger.api.middleware import RateLimit
from ledger.app import Secrets, open_app
from ledger.config import LedgerConfig
from tests.support.anvil import Network

TOKEN = "token of the auditor"

Ask = Callable[..., tuple[int, bytes]]


@pytest.fixture(scope="module")
def ask(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Send a request to the member: (method, path, body, headers) → (status, body)."""
    home = tmp_path_factory.mktemp("member")
    (home / "beacon.seed").write_text(network.beacon.value(network.beacon.length - 1).hex())
    config = LedgerConfig.model_validate(
        {
            "member": {
                "index": 0,
                "listen": "127.0.0.1:0",
                "peers": [f"http://127.0.0.1:{port}" for port in (1, 2, 3, 4)],
            },
            "chain": {"rpc": network.url, "deployment": network.manifest},
            "beacon": {"seed_file": "beacon.seed"},
        }
    )
    keys = Secrets(network.member_signers[0], network.member_owners[0], TOKEN)
    genesis = network.deployment.genesis_s
    shift = genesis + 42 - time.time()  # slot 8: epoch 1, slot 2
    ready = threading.Event()
    bound: list[int] = []
    stopping: list[Callable[[], None]] = []

    async def serve() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        stopping.append(lambda: loop.call_soon_threadsafe(stop.set))

        def on_ready(port: int) -> None:
            bound.append(port)
            ready.set()

        async with open_app(home, config, keys, now=lambda: time.time() + shift) as running:
            await running.run("127.0.0.1", 0, on_ready=on_ready, stop=stop)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app_module, "RateLimit", lambda now, **_: RateLimit(now, burst=1e9))
        thread = threading.Thread(target=asyncio.run, args=(serve(),))
        thread.start()
        assert ready.wait(30)

        def send(
            method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
        ) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", bound[0], timeout=20)
            try:
                connection.request(method, path, body, headers or {})
                response = connection.getresponse()
                return response.status, response.read()
            finally:
                connection.close()

        try:
            yield send
        finally:
            stopping[0]()
            thread.join(30)
