"""Configuration files: TOML, parsed once into a frozen model with line-precise errors."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from qnet.errors import ConfigError

MAX_CONFIG_BYTES = 1 << 20


class ConfigModel(BaseModel):
    """Base of all configuration sections: immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=False)


Model = TypeVar("Model", bound=ConfigModel)


def load_toml(path: Path, model: type[Model]) -> Model:
    """Read and check a configuration file.

    Args:
        path: TOML file of at most 1 MiB.
        model: what it must contain.

    Raises:
        ConfigError: unreadable, not TOML, or a value that does not fit; names file and line.
    """
    text = _read(path)
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        keys = [str(part) for part in first["loc"]]
        line = _line_of(text, keys)
        where = f"{path}:{line}" if line else str(path)
        raise ConfigError(f"{where}: {'.'.join(keys)}: {first['msg']}") from error


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path} is larger than 1 MiB")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}", why=str(error)) from error


def _line_of(text: str, keys: list[str]) -> int:
    """Line of the last key of a dotted path, 0 if it is not in the text."""
    section, name = keys[:-1], keys[-1] if keys else ""
    inside = not section
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            inside = stripped.strip("[]").strip() == ".".join(section)
        elif inside and stripped.partition("=")[0].strip() == name:
            return number
    return 0
