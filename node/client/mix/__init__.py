"""A client of the mixnet: its guard, its messages, what outlives a restart, and `qnet msg`."""
