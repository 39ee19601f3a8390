"""`scripts/demo` after set-up: exit 0, and the table says what it must."""

import subprocess
import sys

import pytest

from tests.e2e.test_devnet import processes_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
STEPS = (
    "delegation",
    "two receipts",
    "file over three hops",
    "mixnet",
    "governance",
    "new rule obeyed",
    "forward secrecy",
    "slash",
    "evidence",
    "claims",
    "shared earnings",
    "premium wallet",
    "paid transfer",
    "payouts",
    "committee killed",
    "user leaves",
    "relays redeem",
    "user exits",
)


def test_every_promise_is_verified(tmp_path):
    home = tmp_path / "net"
    argv = [sys.executable, "-m", "tools.devnet.demo", "--home", str(home)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=880, check=False)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    assert all(step in done.stdout for step in STEPS)
    assert " NO " not in done.stdout
    assert processes_of(home) == []
