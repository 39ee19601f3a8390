"""Packets through three mixes: format, mixing, replies, messages; no I/O and no clock."""
