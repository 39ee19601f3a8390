"""Streams over the mixnet: tunnels between a client and an exit; no I/O and no clock."""
