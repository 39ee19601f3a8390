import socket

import pytest
from aiohttp import web


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
async def serve():
    """Starts an HTTP server that answers every POST with a handler; returns its address."""
    runners = []

    async def start(handler):
        app = web.Application()
        app.router.add_post("/", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def payer(chain):
    """A holder that lets the channels take its tokens."""
    key = chain.network.holders[0]
    channels = chain.contracts.channels
    await chain.send(key, chain.contracts.token.approve(channels.address, 10**24))
    return key
