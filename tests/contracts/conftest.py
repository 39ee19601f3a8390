"""One deployed network per module; every test starts from it."""

import pytest
from world import World


@pytest.fixture(autouse=True)
def isolation(fn_isolation):
    """Undo what a test did on the chain."""


@pytest.fixture(scope="module")
def world(module_isolation):
    return World()
