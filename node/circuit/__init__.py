"""Circuits: cells, layers, setup, and the origin and relay cores."""
