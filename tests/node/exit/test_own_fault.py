"""An exit that is short of something says so, and does not blame the destination."""

import errno
import os

import pytest

from node.circuit.messages import EndReason
from node.errors import ConnectError
from node.exit import race
from node.exit.address import parse_address
from node.exit.limits import ExitLimits
from node.exit.streams import end_reason


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_an_exit_without_sockets_fails_by_its_own_fault(monkeypatch, number):
    async def connected(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(race, "_connected", connected)
    with pytest.raises(ConnectError) as failed:
        await race.race([parse_address("192.0.2.1")], 443, ExitLimits(), {})
    assert end_reason(failed.value) is EndReason.INTERNAL
