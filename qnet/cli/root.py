"""The root of the `qnet` command: finds groups by entry point and loads one when it is called."""

import difflib
import sys
from importlib.metadata import entry_points, version
from typing import Any, Final

import click

from qnet.cli.settings import Settings, add_global_options
from qnet.errors import QnetError, UsageError

ENTRY_POINT_GROUP: Final = "qnet.commands"
EXIT_INTERRUPTED: Final = 130
EXIT_BUG: Final = 70

SUMMARIES: Final = {
    "bench": "Measure speed, balance and endurance.",
    "chain": "Deploy and inspect the contracts.",
    "client": "Route applications through the network.",
    "devnet": "A whole network on this machine.",
    "gov": "Vote on parameters, versions and upgrades.",
    "ledger": "Run and inspect a committee member.",
    "msg": "Messages that nobody can trace.",
    "net": "Look at the network: nodes, capacity, diversity, history.",
    "node": "Run an entry, relay, mix or exit.",
    "pay": "Pay for premium traffic.",
    "stake": "Bond tokens, settle and claim rewards.",
    "wallet": "Keys, balances and transfers.",
}
"""One line per group for `qnet --help`, so that help loads no program."""


class LazyGroup(click.Group):
    """A group whose commands are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the registered groups by name."""
        del ctx
        return sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one group and give it the global options."""
        del ctx
        for point in entry_points(group=ENTRY_POINT_GROUP, name=cmd_name):
            command: click.Command = point.load()
            add_global_options(command)
            return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command or suggest the nearest name.

        Raises:
            UsageError: there is no such command.
        """
        name = args[0]
        if name not in self.list_commands(ctx):
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            raise UsageError(
                f"no command {name!r}", try_=(f"qnet {near[0]}" if near else "qnet --help",)
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of groups from SUMMARIES, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, SUMMARIES.get(name, "")) for name in self.list_commands(ctx)]
            )


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if value:
        click.echo(f"qnet {version('qnet')} (python {sys.version.split()[0]}, {sys.platform})")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version)
@click.pass_context
def root(ctx: click.Context) -> None:
    """QNet: an incentivised anonymity network."""
    ctx.ensure_object(Settings)


add_global_options(root)


def main(argv: list[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(sys.argv[1:] if argv is None else argv))


def run(argv: list[str]) -> int:
    """Run one command and return its exit code; every error is printed in its fixed shape."""
    from qnet.cli.output import show_error

    as_json = "--json" in argv or any(word in {"-ojson", "--output=json"} for word in argv)
    try:
        result: Any = root.main(args=argv, prog_name="qnet", standalone_mode=False)
    except QnetError as error:
        show_error(error, as_json=as_json)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return UsageError.exit_code
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f"{context.command_path if context else 'qnet'} --help"
        show_error(UsageError(error.format_message(), try_=(hint,)), as_json=as_json)
        return UsageError.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    except Exception:  # noqa: BLE001 - the last line of defence: say that it is our bug
        import traceback

        traceback.print_exc()
        click.echo("error[Q0001]: this is a bug in qnet; please report the lines above", err=True)
        return EXIT_BUG
    return result if isinstance(result, int) else 0
