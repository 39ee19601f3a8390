"""Signed messages: codec and verification, once for every program."""
