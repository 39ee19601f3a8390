import os

import pytest

from qnet.files import write_atomic


def test_the_file_has_the_data_and_the_mode(tmp_path):
    path = tmp_path / "secret"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_mode_does_not_depend_on_the_mask(tmp_path):
    old = os.umask(0o077)
    try:
        write_atomic(tmp_path / "public", b"", mode=0o644)
    finally:
        os.umask(old)
    assert (tmp_path / "public").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("dies_in", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, dies_in):
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def fail(*_arguments):
        raise OSError("disk full")

    if dies_in == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(type(path), "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
