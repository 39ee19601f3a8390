"""Loads the shared fixtures; imports nothing of the product."""

import pytest
from hypothesis import settings

pytest_plugins = ("tests.support.anvil",)

# Speed is measured by `qnet bench`, never asserted in a test, so examples have no deadline.
settings.register_profile("qnet", deadline=None)
settings.load_profile("qnet")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a fixture of their module run in one process: it is made once."""
    for item in items:
        found = getattr(item, "_fixtureinfo", None)
        shared = found.name2fixturedefs.values() if found is not None else ()
        if any(each[-1].scope == "module" for each in shared):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
