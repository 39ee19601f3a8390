from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.errors import DecodeError
from qnet.messages.json_fields import OCTETS, U16, U32_LIST, U256, from_json, to_json

FIELDS = {"small": U16, "large": U256, "name": OCTETS, "list": U32_LIST}


@dataclass(frozen=True)
class Record:
    small: int
    large: int
    name: bytes
    list: tuple[int, ...]


records = st.builds(
    Record,
    st.integers(0, (1 << 16) - 1),
    st.integers(0, (1 << 256) - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(st.integers(0, (1 << 32) - 1), max_size=256).map(tuple),
)


@given(records)
def test_records_round_trip(record: Record) -> None:
    assert Record(**from_json(to_json(record, FIELDS), FIELDS, "record")) == record


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("small", "65536"),
        ("small", "+1"),
        ("small", 1),
        ("large", "01"),
        ("large", "9" * 81),
        ("name", "0x" + "00" * 31),
        ("name", "0x" + "0G" * 32),
        ("name", "0x" + "AA" * 32),
        ("list", ["1"] * 257),
        ("list", ["4294967296"]),
        ("list", "1"),
        ("list", [["1"]]),
    ],
    ids=str,
)
def test_every_other_spelling_is_refused(field: str, value: object) -> None:
    good = to_json(Record(1, 2, bytes(32), (3,)), FIELDS)
    with pytest.raises(DecodeError, match="record"):
        from_json({**good, field: value}, FIELDS, "record")


@pytest.mark.parametrize("value", [None, [], {}, {"small": "1"}], ids=str)
def test_fields_are_exactly_those_expected(value: object) -> None:
    with pytest.raises(DecodeError, match="record"):
        from_json(value, FIELDS, "record")
