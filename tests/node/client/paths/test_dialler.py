"""Whom a client dials, and what it remembers."""

import time

import pytest

from node.client.paths.dialler import KEPT_ATTEMPTS, Dialler
from node.errors import Heard, LinkError
from tests.node.io.endpoint_rig import (
    PARAMETERS,
    Recorder,
    address_of,
    close_all,
    fresh_keys,
    start_server,
)


@pytest.fixture(autouse=True)
async def no_leftovers():
    yield
    await close_all()


@pytest.fixture
def dialler():
    return Dialler(time.monotonic, time.time)


async def dial(dialler, address):
    return await dialler.dial(address, handler=Recorder(), parameters=PARAMETERS, timeout_s=5)


async def test_what_became_of_a_dial_is_remembered(dialler):
    server, keys, _ = await start_server()
    address = address_of(keys, server.port)
    link = await dial(dialler, address)
    await server.close()
    with pytest.raises(LinkError):
        await dial(dialler, address)
    stood, failed = dialler.attempts
    assert (stood.host, stood.port, stood.error) == (address.host, address.port, None)
    assert stood.told_s == pytest.approx(time.time(), abs=5)
    assert failed.error.heard is Heard.NOTHING
    link.close()


async def test_a_name_is_never_looked_up(dialler):
    with pytest.raises(LinkError) as caught:
        await dial(dialler, address_of(fresh_keys(), 443, host="localhost"))
    assert "DNS server" in caught.value.why


async def test_only_the_last_dials_are_kept(dialler):
    for _ in range(KEPT_ATTEMPTS + 3):
        with pytest.raises(LinkError):
            await dial(dialler, address_of(fresh_keys(), 443, host="node.example"))
    assert len(dialler.attempts) == KEPT_ATTEMPTS
