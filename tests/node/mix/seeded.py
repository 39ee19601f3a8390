"""Random bytes that a test can have again."""

from random import Random


def seeded(seed):
    return Random(seed).randbytes
