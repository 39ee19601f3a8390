"""Exits: where a circuit meets the internet (policy, names, connections)."""
