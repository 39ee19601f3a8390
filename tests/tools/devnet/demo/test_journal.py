import io

import pytest
from rich.console import Console

from tools.devnet.demo.context import read_documents
from tools.devnet.demo.journal import CheckFailedError, Journal


@pytest.fixture
def journal():
    return Journal(Console(file=io.StringIO(), width=100))


def printed(journal):
    target = Console(file=io.StringIO(), width=100)
    target.print(journal.table())
    return target.file.getvalue()


def test_checks_become_lines(journal):
    with journal.step("file"):
        journal.verified("arrived", "64 MiB")
        journal.require([1], "order", "1 < 2")
    assert journal.ok
    text = printed(journal)
    assert "arrived" in text
    assert text.count("file") == 1


def test_a_failed_check_is_a_line_and_goes_on_up(journal):
    with pytest.raises(CheckFailedError, match="same bytes"), journal.step("file"):
        journal.require([], "same bytes", why="they differ")
    assert not journal.ok
    assert "NO" in printed(journal)


def test_a_system_error_is_a_line_too(journal):
    with pytest.raises(OSError, match="gone"), journal.step("file"):
        raise OSError("gone")
    assert not journal.ok


def test_nothing_verified_is_not_ok(journal):
    assert not journal.ok


def test_documents_printed_one_after_the_other():
    assert read_documents('{"a": 1}\n{"b": [2]}\n') == [{"a": 1}, {"b": [2]}]
    assert read_documents("") == []
