"""Results of `qnet pay` as lines for people."""

from collections.abc import Mapping
from typing import Any


def in_words(found: Mapping[str, Any]) -> str:
    """Facts, one a line; amounts with their unit, what is empty left out."""
    lines = []
    for key, value in found.items():
        is_empty = value is None or (isinstance(value, str | list) and not value)
        if not is_empty and key not in {"warning", "problem"}:
            lines.append(f"{key.replace('_', ' '):<17} {_shown(value)}")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        if "amount" in value:
            return f"{value['amount']} {value['unit']}"
        parts = (f"{name.replace('_', ' ')} {_shown(part)}" for name, part in value.items())
        return ", ".join(parts)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)
