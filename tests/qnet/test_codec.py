import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.codec import Reader, Writer
from qnet.errors import DecodeError


@given(
    st.integers(0, 2**8 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**24 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.binary(max_size=40),
)
def test_round_trip(a, b, c, d, e, tail):
    data = Writer().u8(a).u16(b).u24(c).u32(d).u64(e).take(tail).bytes()
    reader = Reader(data)
    assert (reader.u8(), reader.u16(), reader.u24(), reader.u32(), reader.u64()) == (a, b, c, d, e)
    assert reader.remaining == len(tail)
    assert reader.rest() == tail
    reader.finish()


@given(st.binary(max_size=20), st.integers(-3, 40))
def test_take_never_reads_past_the_end(data, size):
    reader = Reader(data)
    if 0 <= size <= len(data):
        assert reader.take(size) == data[:size]
    else:
        with pytest.raises(DecodeError):
            reader.take(size)
        assert reader.remaining == len(data)


def test_finish_refuses_trailing_bytes():
    reader = Reader(b"ab")
    reader.u8()
    with pytest.raises(DecodeError, match="1 bytes follow"):
        reader.finish()


@pytest.mark.parametrize(("method", "value"), [("u8", 256), ("u16", -1), ("u24", 1 << 24)])
def test_writer_refuses_values_that_do_not_fit(method, value):
    with pytest.raises(ValueError, match="does not fit"):
        getattr(Writer(), method)(value)
