"""What docs/how-to/pay.md shows exists, and its configuration can be read."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from node import errors
from node.config import ClientConfig
from node.payments.user.cli import pay
from node.payments.user.states import State
from qnet.cli.settings import add_global_options

PAGE = (Path(__file__).parents[4] / "docs" / "how-to" / "pay.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
LINES = [line for kind, text in BLOCKS if not kind for line in text.splitlines()]


def test_the_configuration_is_one():
    (text,) = [text for kind, text in BLOCKS if kind == "toml"]
    payments = ClientConfig.model_validate(tomllib.loads(text)).payments
    defaults = type(payments).model_fields
    for name in ("tokens", "credits_low", "credits_buy"):
        assert getattr(payments, name) == defaults[name].default


@pytest.mark.parametrize("line", LINES)
def test_a_command_that_is_shown_can_be_called(line):
    program, group, verb, *words = shlex.split(line)
    assert (program, group) == ("qnet", "pay")
    command = pay.commands[verb]
    add_global_options(command)
    with command.make_context(verb, words):
        pass


def test_every_command_is_shown():
    assert set(pay.commands) == {shlex.split(line)[2] for line in LINES}


def test_every_error_of_the_wallet_is_explained():
    kinds = [
        *(errors.WalletMissingError, errors.WalletDamagedError, errors.SpendingLimitError),
        *(errors.IssuersSilentError, errors.WalletBusyError, errors.IssuersRefusedError),
        errors.IssuerKeysError,
    ]
    for kind in kinds:
        assert re.search(rf"\| {kind.code} \| .* \| {kind.exit_code} \|", PAGE)


def test_every_lasting_state_is_explained():
    for state in State:
        if state not in {State.VOID, State.SWAPPED, State.EXITED}:
            assert state.value in PAGE
