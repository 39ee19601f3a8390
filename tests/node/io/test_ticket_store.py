"""Accepted tickets on disk."""

import os

import pytest

from node.io.ticket_store import FileTicketStore


def test_a_restart_forgets_nothing(tmp_path):
    first = FileTicketStore(tmp_path / "tickets")
    for number in range(5):
        first.append(100 + number % 2, bytes([number]) * 16)
    again = FileTicketStore(tmp_path / "tickets")
    assert sorted(again.load()) == sorted((100 + n % 2, bytes([n]) * 16) for n in range(5))
    first.close()


def test_half_an_entry_is_dropped_and_the_next_one_is_whole(tmp_path):
    first = FileTicketStore(tmp_path)
    first.append(7, b"a" * 16)
    first.close()
    with (tmp_path / "tickets-7").open("ab") as file:
        file.write(b"torn")
    again = FileTicketStore(tmp_path)
    assert list(again.load()) == [(7, b"a" * 16)]
    again.append(7, b"b" * 16)
    again.close()
    assert list(FileTicketStore(tmp_path).load()) == [(7, b"a" * 16), (7, b"b" * 16)]


def test_old_hours_are_deleted(tmp_path):
    store = FileTicketStore(tmp_path)
    (tmp_path / "tickets-x").write_text("not ours")
    for hour in (1, 2, 3):
        store.append(hour, bytes(16))
    store.drop_before(3)
    assert [hour for hour, _ in store.load()] == [3]
    assert (tmp_path / "tickets-x").exists()
    (tmp_path / "tickets-2").write_bytes(bytes(16))
    store.drop_before(3)
    store.close()


def test_a_ticket_written_half_leaves_the_others_readable(tmp_path, monkeypatch):
    store = FileTicketStore(tmp_path)
    store.append(7, b"a" * 16)
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:5]))
    with pytest.raises(OSError, match="not kept"):
        store.append(7, b"b" * 16)
    monkeypatch.undo()
    store.append(7, b"c" * 16)
    store.close()
    assert list(FileTicketStore(tmp_path).load()) == [(7, b"a" * 16), (7, b"c" * 16)]
