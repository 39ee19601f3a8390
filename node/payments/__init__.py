"""Payments at a node: what a relay takes, and what a wallet gives."""
