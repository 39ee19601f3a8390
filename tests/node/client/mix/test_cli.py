"""`qnet msg` in a home whose client is off; with one that runs: tests/integration."""

import io
import json
import sys

import pytest

from node.client.mix.api import Messages
from node.client.mix.store import MessageStore
from node.mix.account import MailReceived
from node.mix.address import MailAddress
from node.mix.mail import Mail
from node.mix.surb import Surb
from qnet.cli.root import run

ADDRESS = MailAddress(3, bytes(range(32)))


@pytest.fixture
def home(tmp_path):
    (tmp_path / "client.toml").touch()
    return tmp_path


def qnet_msg(home, *words):
    return run(["msg", "--home", str(home), *words])


def received(home, text, *surbs):
    store = MessageStore(home / "messages" / "messages.db")
    store.received.add_mail(MailReceived(text[:1] * 16, Mail(text, surbs), ADDRESS), 1.0)
    store.close()


def surb(number):
    return Surb(number, 1, bytes([number]) * 240, bytes(32))


def test_a_home_without_a_client_is_told_how_to_start(tmp_path, capsys):
    assert qnet_msg(tmp_path, "recv") == 4
    assert "qnet client up --bundle network.json --messages" in capsys.readouterr().err


def test_without_an_address_there_is_none_to_show(home, capsys):
    assert qnet_msg(home, "address") == 1
    assert "made at first start" in capsys.readouterr().out
    assert qnet_msg(home, "address", "--new") == 5
    assert qnet_msg(home, "address", "--drop", "1", "--yes") == 3


def test_what_is_sent_waits_for_the_client(home, capsys, monkeypatch):
    assert qnet_msg(home, "send", str(ADDRESS), "hello", "--json") == 0
    sent = json.loads(capsys.readouterr().out)["data"]
    assert sent["state"] == "waiting"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x00piped")))
    assert qnet_msg(home, "send", str(ADDRESS), "--replies", "0") == 0
    (home / "file").write_bytes(b"from a file")
    assert qnet_msg(home, "send", str(ADDRESS), "--file", str(home / "file")) == 0
    capsys.readouterr()
    with Messages(home) as messages:
        texts = [(row.text, row.replies) for row in messages.sent()]
    assert sorted(texts) == [(b"\x00piped", 0), (b"from a file", 5), (b"hello", 5)]
    assert qnet_msg(home, "status") == 1
    out = capsys.readouterr().out
    assert out.startswith("no client runs: messages wait")
    assert f"{sent['id'][:16]}  waiting" in out


@pytest.mark.parametrize("words", [("nobody", "text"), (str(ADDRESS), "text", "--replies", "13")])
def test_what_cannot_be_sent_is_refused(home, words):
    assert qnet_msg(home, "send", *words) == 2


def test_a_text_and_a_file_are_one_too_many(home):
    (home / "file").touch()
    assert qnet_msg(home, "send", str(ADDRESS), "text", "--file", str(home / "file")) == 2


def test_messages_are_shown_once_and_all_on_demand(home, capsys):
    received(home, b"first\x1b[2J", surb(1))
    received(home, b"second")
    assert qnet_msg(home, "recv") == 0
    out = capsys.readouterr().out
    assert "first\ufffd[2J" in out
    assert "second" in out
    assert qnet_msg(home, "recv") == 1
    assert "no messages" in capsys.readouterr().out
    assert qnet_msg(home, "recv", "--all", "--json") == 0
    rows = json.loads(capsys.readouterr().out)["data"]
    assert [(row["text"], row["replies"]) for row in rows] == [("first\x1b[2J", 1), ("second", 0)]


def test_deleted_messages_are_gone(home, capsys):
    received(home, b"first")
    assert qnet_msg(home, "recv", "--delete") == 0
    assert qnet_msg(home, "recv", "--all") == 1
    assert qnet_msg(home, "reply", "1", "text") == 3


def test_answers_need_reply_blocks(home, capsys):
    received(home, b"with", surb(1))
    received(home, b"out")
    assert qnet_msg(home, "reply", "1", "yes") == 0
    assert qnet_msg(home, "reply", "2", "yes") == 9
    assert "no reply block left" in capsys.readouterr().err
    assert qnet_msg(home, "status") == 1
    assert "answer to 1" in capsys.readouterr().out
