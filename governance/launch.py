"""What a deployment is made from: parameters, committee and first holders, read from files."""

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qnet.address import parse_address
from qnet.chain.deployment import Profile
from qnet.chain.layout import MemberSeat
from qnet.errors import ConfigError, NotFoundError, UsageError
from qnet.parameters import NetworkParameters
from qnet.units import parse_qnet

MAX_FILE_BYTES = 1 << 20
ANCHOR_BYTES = 32


def load_parameters(
    profile: Profile, path: Path | None, overrides: Iterable[str]
) -> NetworkParameters:
    """Take a profile's parameters, then those of a file, then single ones.

    Args:
        profile: where to begin.
        path: TOML file of ``NAME = VALUE``.
        overrides: words ``NAME=VALUE``.

    Raises:
        ConfigError: the file cannot be read, or names no parameter, or a value out of bounds.
        UsageError: a word has another form or a value out of bounds.
        NotFoundError: a word names no parameter.
    """
    found = NetworkParameters.profile(profile)
    for name, value in (_read_toml(path) if path else {}).items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigError(f"{path}: {name} is not an integer")
        try:
            found = found.with_value(name, value)
        except (NotFoundError, UsageError) as error:
            raise ConfigError(f"{path}: {error.message}", why=error.why) from error
    for word in overrides:
        name, separator, text = word.partition("=")
        if not separator or not text.isascii() or not text.isdecimal():
            raise UsageError(f"{word!r} is not NAME=VALUE with an integer")
        found = found.with_value(name, int(text))
    return found


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_read(path))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read {path}", why=str(error)) from error


def _read(path: Path) -> str:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is longer than 1 MiB")
    return path.read_text("utf-8")


def load_seats(path: Path) -> list[MemberSeat]:
    """Read a committee file: a JSON list of {"owner", "signer", "url"}.

    Raises:
        ConfigError: it cannot be read or has another form.
    """
    try:
        entries = json.loads(_read(path))
        return [
            MemberSeat(parse_address(e["owner"]), parse_address(e["signer"]), str(e["url"]))
            for e in entries
        ]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, UsageError) as error:
        raise ConfigError(f"{path} is not a committee file", why=str(error)) from error


def load_allocations(path: Path | None) -> list[tuple[bytes, int]]:
    """Read first holders: a JSON map from address to QNET as text; nothing without a file.

    Raises:
        ConfigError: it cannot be read or has another form.
    """
    if path is None:
        return []
    try:
        entries = json.loads(_read(path))
        return [(parse_address(who), parse_qnet(str(text))) for who, text in entries.items()]
    except (
        OSError,
        ValueError,
        AttributeError,
        TypeError,
        RecursionError,
        UsageError,
    ) as error:
        raise ConfigError(f"{path} is not a list of allocations", why=str(error)) from error


def parse_allocation(word: str) -> tuple[bytes, int]:
    """Read ADDRESS=AMOUNT into an address (20 bytes) and wei.

    Raises:
        UsageError: it has another form.
    """
    address, separator, amount = word.partition("=")
    if not separator:
        raise UsageError(f"{word!r} is not ADDRESS=AMOUNT")
    return parse_address(address), parse_qnet(amount)


def parse_anchor(text: str) -> bytes:
    """Read the head of a hash chain, 32 bytes in hexadecimal.

    Raises:
        UsageError: it has another form.
    """
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise UsageError("the beacon anchor is not hexadecimal") from error
    if len(value) != ANCHOR_BYTES:
        raise UsageError("the beacon anchor does not have 32 bytes")
    return value
