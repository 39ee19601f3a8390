import json
import subprocess
import sys

import click
import pytest

from qnet.cli import root as cli
from qnet.cli.output import confirm, emit, say
from qnet.cli.settings import settings
from qnet.errors import FundsError


@click.group()
def sample():
    """A group for this test."""


@sample.command()
def show():
    emit("qnet.sample/1", {"bond_wei": "5"}, rows=[{"a": 1, "b": None}])
    say("a remark")


@sample.command()
def fail():
    raise FundsError("not enough", why="3 missing", try_=["qnet wallet balance"])


@sample.command()
def spend():
    if confirm(["pay 5 QNET to bob"]):
        click.echo("paid")


@sample.command()
def crash():
    raise RuntimeError("boom")


@sample.command()
def quiet():
    click.echo(f"{settings().quiet} {settings().timeout}")


class Point:
    name = "sample"

    def load(self):
        return sample


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(cli, "entry_points", lambda **_: [Point()])


def run(capsys, *words):
    code = cli.run(list(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_result_goes_to_stdout_and_remarks_to_stderr(capsys):
    code, out, err = run(capsys, "sample", "show", "--json")
    assert code == 0
    assert json.loads(out) == {"schema": "qnet.sample/1", "data": {"bond_wei": "5"}}
    assert err == "a remark\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-o", "csv"), "a,b\r\n1,\r\n"),
        (("-o", "jsonl"), '{"a": 1, "b": null}\n'),
    ],
)
def test_other_forms(capsys, words, expected):
    assert run(capsys, "sample", "show", *words)[1] == expected
    assert run(capsys, *words, "sample", "show")[1] == expected


def test_table(capsys):
    out = run(capsys, "sample", "show", "-q")[1]
    assert [line.split() for line in out.splitlines()] == [["A", "B"], ["1"]]


def test_errors_have_a_code_a_cause_and_a_way_out(capsys):
    code, out, err = run(capsys, "sample", "fail")
    assert (code, out) == (7, "")
    assert err == "error[Q0701]: not enough\n  why   3 missing\n  try   qnet wallet balance\n"
    body = json.loads(run(capsys, "sample", "fail", "--json")[2])["error"]
    assert body["exit"] == 7
    assert body["try"] == ["qnet wallet balance"]


def test_unknown_words(capsys):
    assert run(capsys, "smaple")[0] == 2
    code, _, err = run(capsys, "sample", "show", "--nope")
    assert code == 2
    assert "Q0201" in err
    assert run(capsys)[0] == 2


def test_spending_needs_a_confirmation(capsys):
    code, out, err = run(capsys, "sample", "spend", "--no-input")
    assert (code, out) == (2, "")
    assert "pay 5 QNET to bob" in err
    assert run(capsys, "sample", "spend", "-y")[1] == "paid\n"
    assert run(capsys, "sample", "spend", "--dry-run")[1] == ""


def test_global_options_stand_anywhere(capsys):
    assert run(capsys, "--timeout", "5", "sample", "quiet", "-q")[1] == "True 5.0\n"


def test_a_bug_says_so(capsys):
    code, _, err = run(capsys, "sample", "crash")
    assert code == 70
    assert "boom" in err
    assert "Q0001" in err


def test_help_imports_no_program():
    code = (
        "import sys; from qnet.cli.root import run; run(['--help'])\n"
        "heavy = {'web3', 'aiohttp', 'pydantic', 'rich', 'sqlalchemy', 'node', 'ledger'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
