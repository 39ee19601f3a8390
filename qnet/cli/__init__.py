"""The `qnet` command, composed lazily from the programs that register a group."""

from qnet.cli.root import main

__all__ = ["main"]
