"""Options every `qnet` command accepts, before or after its verb."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click


@dataclass(slots=True)
class Settings:
    """What the global options say; one object per run, reached through :func:`settings`."""

    home: Path | None = None
    config: Path | None = None
    output: str = "table"
    quiet: bool = False
    verbose: int = 0
    color: str = "auto"
    no_input: bool = False
    yes: bool = False
    dry_run: bool = False
    timeout: float = 30.0

    @property
    def json(self) -> bool:
        """Whether the result goes out as one JSON document."""
        return self.output == "json"


def settings() -> Settings:
    """Return the settings of the command that runs now."""
    context = click.get_current_context()
    return context.find_root().ensure_object(Settings)


def _store(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        source = context.get_parameter_source(parameter.name or "")
        if source not in {None, click.core.ParameterSource.DEFAULT}:
            target = context.find_root().ensure_object(Settings)
            if name == "json":
                target.output = "json"
            elif name == "verbose":
                target.verbose += value
            else:
                setattr(target, name, value)
        return value

    return callback


_FORMATS: Final = click.Choice(["table", "json", "jsonl", "csv"])
_PATH: Final = click.Path(path_type=Path)


def _options() -> list[click.Option]:
    def option(*names: str, to: str, **attrs: Any) -> click.Option:
        return click.Option(names, expose_value=False, callback=_store(to), **attrs)

    return [
        option("--home", to="home", type=_PATH, envvar="QNET_HOME", help="Folder of this program."),
        option("-c", "--config", to="config", type=_PATH, help="Configuration file."),
        option("-o", "--output", to="output", type=_FORMATS, help="Form of the result."),
        option("--json", to="json", is_flag=True, help="Same as --output json."),
        option("-q", "--quiet", to="quiet", is_flag=True, help="No progress, only the result."),
        option("-v", "--verbose", to="verbose", count=True, help="Say more; twice for debug."),
        option(
            "--color",
            to="color",
            type=click.Choice(["auto", "always", "never"]),
            help="Colours (NO_COLOR is honoured).",
        ),
        option("--no-input", to="no_input", is_flag=True, help="Never ask; exit 2 instead."),
        option("-y", "--yes", to="yes", is_flag=True, help="Answer yes to confirmations."),
        option("--dry-run", to="dry_run", is_flag=True, help="Show the preview and stop."),
        option("--timeout", to="timeout", type=float, help="Seconds to wait (default 30)."),
    ]


def add_global_options(command: click.Command) -> None:
    """Give a command and all below it the global options it does not define itself."""
    taken = {name for parameter in command.params for name in parameter.opts}
    command.params.extend(
        option
        for option in _options()
        if not taken.intersection(option.opts) and option.name not in _names(command)
    )
    if isinstance(command, click.Group):
        for child in command.commands.values():
            add_global_options(child)


def _names(command: click.Command) -> set[str | None]:
    return {parameter.name for parameter in command.params}
