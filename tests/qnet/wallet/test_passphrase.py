import os

import pytest

from qnet.errors import KeyAccessError, UsageError
from qnet.wallet.errors import PassphraseMissingError, UnsafePermissionsError
from qnet.wallet.passphrase import PassphraseSource


def secret_file(tmp_path, content=b"open sesame\n", mode=0o600):
    path = tmp_path / "passphrase"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_from_a_file(tmp_path):
    assert PassphraseSource(file=secret_file(tmp_path)).read() == "open sesame"


@pytest.mark.parametrize(
    ("content", "expected"), [(b" a b ", " a b "), (b"x\r\n", "x"), ("ä".encode(), "ä")]
)
def test_only_the_line_end_is_cut(tmp_path, content, expected):
    assert PassphraseSource(file=secret_file(tmp_path, content)).read() == expected


def test_a_file_others_may_read_is_refused(tmp_path):
    with pytest.raises(UnsafePermissionsError):
        PassphraseSource(file=secret_file(tmp_path, mode=0o644)).read()


@pytest.mark.parametrize("content", [b"", b"\n", b"x" * 2000, b"\xff\xfe"])
def test_what_cannot_be_a_passphrase(tmp_path, content):
    with pytest.raises(KeyAccessError):
        PassphraseSource(file=secret_file(tmp_path, content)).read()


def test_a_missing_file(tmp_path):
    with pytest.raises(KeyAccessError, match="cannot read"):
        PassphraseSource(file=tmp_path / "nothing").read()


def test_from_a_descriptor():
    reader, writer = os.pipe()
    os.write(writer, b"open sesame\n")
    os.close(writer)
    try:
        assert PassphraseSource(descriptor=reader).read() == "open sesame"
    finally:
        os.close(reader)


def test_from_a_closed_descriptor():
    reader, writer = os.pipe()
    os.close(writer)
    os.close(reader)
    with pytest.raises(KeyAccessError):
        PassphraseSource(descriptor=reader).read()


def test_from_a_program():
    assert PassphraseSource(command="echo 'open sesame'").read() == "open sesame"


@pytest.mark.parametrize("command", ["false", "/nowhere/program", "unclosed 'quote", "true"])
def test_from_a_program_that_fails(command):
    with pytest.raises(KeyAccessError):
        PassphraseSource(command=command).read()


def test_one_source_only():
    with pytest.raises(UsageError, match="give one of"):
        PassphraseSource(descriptor=3, command="true").read()


def test_nobody_to_ask():
    with pytest.raises(PassphraseMissingError) as raised:
        PassphraseSource(may_ask=False).read()
    assert raised.value.exit_code == 2
    assert "--passphrase-file" in raised.value.try_[0]
