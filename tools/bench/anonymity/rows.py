"""Rows of tables: how their figures are rounded, and where their chance comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias
from zlib import crc32

import numpy as np

TINY: Final = 1e-9
"""Below this a figure is an error of rounding."""

Row: TypeAlias = dict[str, Any]


def generator(*words: object) -> np.random.Generator:
    """A source of chance named by words, so that figures repeat."""
    return np.random.default_rng(crc32("/".join(map(str, words)).encode()))


def rounded(value: float) -> float:
    """Four significant figures."""
    if abs(value) < TINY:
        return 0
    short = float(f"{value:.4g}")
    return int(short) if short.is_integer() else short


def percent(share: float) -> float:
    """Of a share."""
    return rounded(100 * share)


def call(item: Callable[[], Row]) -> Row:
    """Run what is handed to another process."""
    return item()
