import pytest

from qnet.errors import DecodeError
from qnet.messages.fields import U64_MAX, Fields, pack_word


def fields(value: object) -> Fields:
    return Fields({"x": value}, frozenset({"x"}), "thing")


@pytest.mark.parametrize("value", [None, [], {}, {"x": 1, "y": 2}, {1: 1}])
def test_other_maps_are_refused(value: object) -> None:
    with pytest.raises(DecodeError, match="thing"):
        Fields(value, frozenset({"x"}), "thing")


def test_values_inside_their_bounds() -> None:
    assert fields(5).uint("x", 5) == 5
    assert fields(b"ab").octets("x", 2) == b"ab"
    assert fields(b"abcd").blob("x", multiple=2, maximum=2) == b"abcd"
    assert fields("a~ ").text("x", 3) == "a~ "
    assert fields("a\nb").text("x", 3, lines=True) == "a\nb"
    assert fields([1]).items("x", 1) == [1]
    assert fields([1, 2]).uints("x", 2, 2) == (1, 2)
    assert fields({"a": 1}).mapping("x", 1) == {"a": 1}


@pytest.mark.parametrize("value", [6, -1, True, "5", None])
def test_integers_are_bounded(value: object) -> None:
    with pytest.raises(DecodeError, match="x"):
        fields(value).uint("x", 5)


@pytest.mark.parametrize("value", [0, U64_MAX, U64_MAX + 1, 1 << 255])
def test_words_have_256_bits_and_one_spelling(value: int) -> None:
    assert fields(pack_word(value)).word("x") == value
    assert isinstance(pack_word(value), int) == (value <= U64_MAX)


@pytest.mark.parametrize(
    "value", [-1, True, "1", None, b"", b"\x01" * 8, b"\x00" + b"\x01" * 9, b"\x01" * 33]
)
def test_other_words_are_refused(value: object) -> None:
    with pytest.raises(DecodeError, match="x"):
        fields(value).word("x")


@pytest.mark.parametrize("value", ["", b"", b"abc", b"abcdef", 3])
def test_blobs_are_bounded(value: object) -> None:
    with pytest.raises(DecodeError):
        fields(value).blob("x", multiple=2, maximum=2)


@pytest.mark.parametrize("value", ["abcd", "\x7f", "\n", "\x1f", "\u00e9", b"a", 1])
def test_texts_are_bounded(value: object) -> None:
    with pytest.raises(DecodeError):
        fields(value).text("x", 3)


@pytest.mark.parametrize("value", [[], [2, 1], [1, 1], [3], [True], ["1"], [0, 1, 2], 1])
def test_integer_lists_ascend(value: object) -> None:
    with pytest.raises(DecodeError):
        fields(value).uints("x", 2, 2)


@pytest.mark.parametrize("value", [{"a": 1, "b": 2}, [], None])
def test_maps_are_bounded(value: object) -> None:
    with pytest.raises(DecodeError):
        fields(value).mapping("x", 1)
