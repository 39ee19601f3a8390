"""Four members that issue, for every test that asks for them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.ledger.service.payments.issuing import World, open_world
from tests.support.anvil import ChainFixture


@pytest.fixture
async def world(chain: ChainFixture, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(chain, tmp_path) as opened:
        yield opened
