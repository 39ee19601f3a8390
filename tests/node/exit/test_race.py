import asyncio
import gc
import socket
from contextlib import asynccontextmanager
from ipaddress import ip_address
from itertools import count

import pytest

from node.errors import ConnectError, ExitLimitError
from node.exit import limits as limits_module
from node.exit import race as module
from node.exit.limits import ExitLimits
from node.exit.race import race

HERE = ip_address("127.0.0.1")


@asynccontextmanager
async def listening(*hosts):
    """Listeners of one port on several loopback addresses; yields the port and who was reached."""
    reached = []

    async def accept(_reader, writer):
        reached.append(writer.get_extra_info("sockname")[0])
        writer.close()

    async with await asyncio.start_server(accept, hosts[0], 0) as first:
        port = first.sockets[0].getsockname()[1]
        others = [await asyncio.start_server(accept, host, port) for host in hosts[1:]]
        try:
            yield port, reached
        finally:
            for other in others:
                other.close()


@asynccontextmanager
async def full(host, port):
    """A listener whose queue is full: whoever connects waits for an answer."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        waiting = []
        try:
            for _ in range(4):
                sock = socket.socket()
                sock.setblocking(False)  # noqa: FBT003
                sock.connect_ex(listener.getsockname())
                waiting.append(sock)
            yield listener.getsockname()[1]
        finally:
            for sock in waiting:
                sock.close()


async def test_the_first_address_that_answers_is_used():
    limits = ExitLimits()
    async with listening("127.0.0.1", "127.0.0.2") as (port, _):
        address, sock = await race([HERE, ip_address("127.0.0.2")], port, limits, {})
        with sock:
            assert address == HERE
            assert sock.getpeername() == ("127.0.0.1", port)
    assert limits.held()["destinations"] == 1


async def test_a_refusal_passes_to_the_next_at_once(monkeypatch):
    monkeypatch.setattr(module, "ATTEMPT_DELAY_S", 30)
    async with listening("127.0.0.1") as (port, _), asyncio.timeout(5):
        address, sock = await race([ip_address("127.0.0.3"), HERE], port, ExitLimits(), {})
        sock.close()
    assert address == HERE


async def test_a_slow_address_is_raced_by_the_next_and_leaves_nothing_open(monkeypatch):
    monkeypatch.setattr(module, "ATTEMPT_DELAY_S", 0.05)
    limits = ExitLimits()
    async with listening("127.0.0.1") as (port, _), full("127.0.0.9", port), asyncio.timeout(5):
        address, sock = await race([ip_address("127.0.0.9"), HERE], port, limits, {})
        sock.close()
    assert address == HERE
    assert limits.held()["destinations"] == 1
    limits.leave(address, port)
    gc.collect()  # a socket left open would be a warning here, and warnings are errors


async def test_who_gives_up_leaves_nothing_open():
    limits = ExitLimits()
    async with full("127.0.0.9", 0) as port:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await race([ip_address("127.0.0.9")], port, limits, {})
    assert limits.held()["destinations"] == 0
    gc.collect()


async def test_two_that_stand_at_once_leave_one(monkeypatch):
    limits = ExitLimits()
    numbers = count()

    async def both(address, _port, _source):
        await asyncio.sleep(0.1 if next(numbers) == 0 else 0)
        return socket.socket()

    monkeypatch.setattr(module, "ATTEMPT_DELAY_S", 0.1)
    monkeypatch.setattr(module, "_connected", both)
    for _ in range(20):
        address, sock = await race([HERE, ip_address("127.0.0.2")], 80, limits, {})
        sock.close()
        limits.leave(address, 80)
        assert limits.held()["destinations"] == 0
    gc.collect()


async def test_failures_are_told_apart():
    async with listening("127.0.0.1") as (port, _):
        pass
    with pytest.raises(ConnectError) as caught:
        await race([HERE], port, ExitLimits(), {})
    assert caught.value.cause == "refused"
    with pytest.raises(ConnectError) as caught:
        await race([ip_address("255.255.255.255")], 80, ExitLimits(), {})
    assert caught.value.cause == "unreachable"
    assert caught.value.why


async def test_a_timeout_of_the_kernel_is_a_timeout(monkeypatch):
    async def late(*_arguments):
        raise TimeoutError(110, "Connection timed out")

    monkeypatch.setattr(module, "_connected", late)
    with pytest.raises(ConnectError) as caught:
        await race([HERE], 80, ExitLimits(), {})
    assert caught.value.cause == "timeout"


async def test_a_full_destination_is_passed_over(monkeypatch):
    monkeypatch.setattr(limits_module, "CONNECTIONS_PER_DESTINATION", 1)
    limits = ExitLimits()
    async with listening("127.0.0.1", "127.0.0.2") as (port, _):
        limits.reach(HERE, port)
        address, sock = await race([HERE, ip_address("127.0.0.2")], port, limits, {})
        sock.close()
        assert address == ip_address("127.0.0.2")
        with pytest.raises(ExitLimitError):
            await race([HERE], port, limits, {})
    assert limits.refusals()["destination_full"] == 2


async def test_connections_leave_from_the_configured_address():
    async with listening("127.0.0.1") as (port, _):
        _, sock = await race([HERE], port, ExitLimits(), {4: ip_address("127.7.7.7")})
        with sock:
            assert sock.getsockname()[0] == "127.7.7.7"
