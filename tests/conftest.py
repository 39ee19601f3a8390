"""Loads the shared fixtures; imports nothing of the product."""

pytest_plugins = ("tests.support.anvil",)
