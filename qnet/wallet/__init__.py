"""Keystores, signers and the `qnet wallet` commands."""
