import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.mix.address import MailAddress, parse_mail_address
from qnet.errors import UsageError

ADDRESS = MailAddress(7, bytes(range(32)))
ADDRESSES = st.builds(MailAddress, st.integers(1, 2**32 - 1), st.binary(min_size=32, max_size=32))


@given(ADDRESSES)
def test_text_round_trip(address):
    text = str(address)
    assert text.isascii()
    assert len(text) == 71
    assert text.startswith("qmix1")
    assert parse_mail_address(f" {text.upper()}\n") == address


@given(ADDRESSES, st.integers(5, 70), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_one_mistyped_character_is_seen(address, place, char):
    text = str(address)
    if text[place] != char:
        with pytest.raises(UsageError):
            parse_mail_address(text[:place] + char + text[place + 1 :])


@given(st.text(max_size=90))
def test_other_text_is_no_address(text):
    with pytest.raises(UsageError):
        parse_mail_address(text)


@pytest.mark.parametrize(
    "text", ["", "qmix1", str(ADDRESS)[:-1], str(ADDRESS) + "a", str(ADDRESS)[5:], "é" * 71]
)
def test_parts_are_no_address(text):
    with pytest.raises(UsageError):
        parse_mail_address(text)


def test_the_node_must_be_one():
    with pytest.raises(UsageError):
        parse_mail_address(str(MailAddress(0, bytes(32))))


@given(ADDRESSES, st.integers(0, 2**24 - 2))
def test_ids_change_with_the_phase_and_the_address(address, phase):
    names = {
        address.delivery_id(phase),
        address.delivery_id(phase + 1),
        MailAddress(address.node_index, bytes(32)).delivery_id(phase),
    }
    assert len(names) == 3 or address.key == bytes(32)
    assert all(len(name) == 16 for name in names)
