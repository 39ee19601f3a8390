import contextlib

import pytest
from eth_utils import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from qnet.address import checksum_address, parse_address
from qnet.errors import UsageError

addresses = st.binary(min_size=20, max_size=20)


@given(addresses)
def test_checksums_are_those_of_eth_utils(address):
    assert checksum_address(address) == to_checksum_address(address)


@given(addresses)
def test_every_spelling_is_read(address):
    text = checksum_address(address)
    for spelling in (text, text.lower(), "0x" + text[2:].upper(), f" {text}\n"):
        assert parse_address(spelling) == address


def test_a_mistyped_digit_is_noticed():
    with pytest.raises(UsageError, match="checksum"):
        parse_address("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAee")


@pytest.mark.parametrize(
    "text", ["", "0x", "0x12", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "bob"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageError, match="is not an address"):
        parse_address(text)


@given(st.text(max_size=60))
def test_reading_never_crashes(text):
    with contextlib.suppress(UsageError):
        assert len(parse_address(text)) == 20


def test_only_20_bytes_are_an_address():
    with pytest.raises(ValueError, match="20 bytes"):
        checksum_address(bytes(19))
