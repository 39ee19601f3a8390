"""Options that several wallet commands share."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from qnet.cli.settings import settings
from qnet.wallet.accounts import Wallet
from qnet.wallet.passphrase import PassphraseSource

Command = TypeVar("Command", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path)


def wallet_of_command() -> Wallet:
    """The wallet in `--home`, or in its usual folder."""
    return Wallet(settings().home)


def passphrase_options(prefix: str = "", what: str = "Passphrase") -> Callable[..., Any]:
    """Give a command `--passphrase-file|-fd|-cmd` and a `PassphraseSource` made from them.

    Args:
        prefix: put before the options' and the argument's name, e.g. ``new-``.
        what: how the help calls it.
    """
    target = f"{prefix}passphrase".replace("-", "_")

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option(
            f"--{prefix}passphrase-file", f"{target}_file", type=_FILE, help=f"{what}: mode 0600."
        )
        @click.option(
            f"--{prefix}passphrase-fd", f"{target}_fd", type=int, help=f"{what}: a descriptor."
        )
        @click.option(
            f"--{prefix}passphrase-cmd", f"{target}_cmd", help=f"{what}: a program that prints it."
        )
        @functools.wraps(command)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            kwargs[target] = PassphraseSource(
                file=kwargs.pop(f"{target}_file"),
                descriptor=kwargs.pop(f"{target}_fd"),
                command=kwargs.pop(f"{target}_cmd"),
                may_ask=not settings().no_input,
            )
            return command(*args, **kwargs)

        return wrapped

    return decorate


def chain_options(command: Command) -> Command:
    """Give a command `--rpc` and `--deployment`."""
    rpc = click.option("--rpc", envvar="QNET_RPC", required=True, help="JSON-RPC of a chain node.")
    deployment = click.option(
        "--deployment",
        envvar="QNET_DEPLOYMENT",
        type=_FILE,
        required=True,
        help="Contract manifest.",
    )
    decorated: Command = rpc(deployment(command))
    return decorated


light_option = click.option(
    "--light",
    is_flag=True,
    help="Cheap encryption (4 MiB, as geth's --lightkdf): for keys that are worth nothing.",
)
