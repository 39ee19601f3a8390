"""Chance that repeats: the same seed gives the same year."""

from random import Random


def seeded(*words: object) -> Random:
    """A source of chance named by words."""
    return Random("/".join(map(str, words)))  # noqa: S311 - figures must repeat
