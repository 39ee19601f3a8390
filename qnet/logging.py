"""Structured logs that never hold addresses, keys or destinations.

Events go out as JSON lines (files, services) or as short text (terminals). A scrubbing
processor rewrites IP addresses, host names behind `host=`-like keys and long hex strings,
so an operator may hand a log to somebody else.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, Final, TextIO

import structlog

SECRET_KEYS: Final = frozenset(
    {"secret", "seed", "private", "passphrase", "password", "key", "ticket", "token", "mnemonic"}
)
PLACE_KEYS: Final = frozenset({"host", "target", "destination", "peer_address", "url", "sni"})

_IPV4 = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])")
_LONG_HEX = re.compile(r"\b(?:0x)?[0-9a-fA-F]{40,}\b")


def scrub_text(text: str) -> str:
    """Replace IP addresses and hex strings of 20 bytes or more."""
    text = _LONG_HEX.sub(lambda found: found.group()[:10] + "…", text)
    return _IPV6.sub("[scrubbed]", _IPV4.sub("[scrubbed]", text))


def scrub(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor of structlog: scrub every value of an event."""
    for name, value in event.items():
        if name in SECRET_KEYS:
            event[name] = "[secret]"
        elif name in PLACE_KEYS:
            event[name] = "[scrubbed]"
        elif isinstance(value, bytes):
            event[name] = value[:4].hex() + "…"
        elif isinstance(value, str) and name != "timestamp":
            event[name] = scrub_text(value)
    return event


def setup(*, level: str = "info", json: bool = True, file: Path | None = None) -> TextIO | None:
    """Configure structlog for this process.

    Args:
        level: debug, info, warning or error.
        json: JSON lines instead of text.
        file: append here instead of writing to stderr; created with mode 0600.

    Returns:
        The open file, which the caller owns, or None for stderr.
    """
    stream: TextIO = sys.stderr
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600, exist_ok=True)
        stream = file.open("a", encoding="utf-8", buffering=1)
    renderer: Any = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            scrub,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    return stream if file is not None else None
