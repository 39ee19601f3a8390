"""Every refusal of every contract is explained in words."""

import pytest

from qnet.chain.artifact import all_artifacts, load_artifact
from qnet.chain.explanations import HINTS, LIBRARY_ERRORS
from qnet.chain.reverts import decode_revert, known_errors


def test_every_error_has_words():
    silent = [known.entry.signature for known in known_errors().values() if not known.words]
    assert silent == []


def test_no_words_without_an_error():
    names = {known.entry.name for known in known_errors().values()}
    assert set(LIBRARY_ERRORS) <= names
    assert set(HINTS) <= names


def test_our_own_errors_are_documented_where_they_are_declared():
    for artifact in all_artifacts():
        for entry in artifact.abi.errors.values():
            own = entry.name not in LIBRARY_ERRORS
            assert own == bool(artifact.error_words.get(entry.signature)), entry.signature


@pytest.mark.parametrize(
    ("contract", "words"), [("NodeRegistry", "jails"), ("StakeHub", "slashes and freezes")]
)
def test_an_error_of_several_contracts_is_told_as_the_called_one_declares_it(contract, words):
    errors = load_artifact(contract).abi.errors.values()
    entry = next(entry for entry in errors if entry.name == "NotSlasher")
    error = decode_revert(entry.hash[:4] + bytes(32), fallback="", target=f"{contract}.x(1)")
    assert words in error.why
    assert error.why.endswith(f"called {contract}.x(1)")
