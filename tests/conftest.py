"""Loads the shared fixtures; imports nothing of the product."""

from hypothesis import settings

pytest_plugins = ("tests.support.anvil",)

# Speed is measured by `qnet bench`, never asserted in a test, so examples have no deadline.
settings.register_profile("qnet", deadline=None)
settings.load_profile("qnet")
