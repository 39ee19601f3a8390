import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.circuit.messages import (
    FORMS,
    MAX_ANSWERS,
    Answer,
    EndReason,
    Message,
    MessageType,
    data_header,
    decode_address,
    decode_answers,
    decode_begin,
    decode_end,
    decode_host,
    decode_messages,
    encode_answers,
    encode_begin,
    encode_host,
    encode_message,
)
from qnet.errors import DecodeError, LocalProtocolError

HOSTS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=253)


def messages(*, forward):
    def one(kind):
        form = FORMS[kind]
        return st.builds(
            Message,
            st.just(kind),
            st.integers(1, 65535) if form.on_stream else st.just(0),
            st.binary(min_size=form.low, max_size=min(form.high, 300)),
        )

    kinds = [kind for kind, form in FORMS.items() if (form.forward if forward else form.backward)]
    end = st.builds(
        Message, st.just(MessageType.END), st.integers(1, 65535), st.binary(min_size=1, max_size=1)
    )
    return st.one_of(end, *(one(kind) for kind in kinds))


@pytest.mark.parametrize("forward", [True, False])
def test_every_message_round_trips(forward):
    @given(st.lists(messages(forward=forward), max_size=5), st.binary(max_size=20))
    def check(sent, rest):
        packed = b"".join(encode_message(*message) for message in sent)
        content = b"\x01" + packed + b"\x00" + rest
        assert decode_messages(content, 1, len(content), forward=forward) == sent
        assert decode_messages(packed, 0, len(packed), forward=forward) == sent

    check()


@given(st.binary(max_size=2024), st.booleans())
def test_decoding_never_crashes(content, forward):
    try:
        found = decode_messages(content, 0, len(content), forward=forward)
    except DecodeError:
        return
    assert content.startswith(b"".join(encode_message(*message) for message in found))


@pytest.mark.parametrize(
    ("kind", "stream", "data", "forward"),
    [
        (MessageType.END, 1, b"", True),
        (MessageType.END, 0, b"\x00", True),
        (MessageType.CONNECTED, 1, b"", True),
        (MessageType.BEGIN, 1, b"abcd", False),
        (MessageType.DATA, 1, b"", True),
        (MessageType.DATA, 0, b"a", True),
        (MessageType.REKEY, 1, bytes(36), True),
        (MessageType.CREDIT, 1, bytes(3), True),
        (15, 0, b"", True),
        (255, 1, b"a", False),
    ],
)
def test_malformed_messages_are_refused(kind, stream, data, forward):
    content = encode_message(kind, stream, data)
    with pytest.raises(DecodeError):
        decode_messages(content, 0, len(content), forward=forward)


def test_a_message_never_leaves_its_cell():
    content = encode_message(MessageType.DATA, 1, b"abc")
    for end in range(1, len(content)):
        with pytest.raises(DecodeError):
            decode_messages(content, 0, end, forward=True)
    assert data_header(1, 3) + b"abc" == content


@given(HOSTS, st.integers(1, 65535))
def test_begin_round_trip(host, port):
    assert decode_begin(encode_begin(host, port)) == (host, port)
    assert decode_host(encode_host(host)) == host


@given(st.binary(max_size=300))
def test_begin_and_host_never_crash(data):
    for decode in (decode_begin, decode_host):
        try:
            decode(data)
        except DecodeError:
            continue


def test_odd_hosts_and_ports_are_refused_at_both_ends():
    for host in ("", "a b", "a" * 254, "exämple", "a\n"):
        with pytest.raises(LocalProtocolError):
            encode_host(host)
    for port in (0, -1, 65536):
        with pytest.raises(LocalProtocolError):
            encode_begin("a", port)
    with pytest.raises(DecodeError, match="port"):
        decode_begin(b"\x00\x00a")
    with pytest.raises(DecodeError):
        decode_begin(b"\x00\x01")


ANSWERS = st.lists(
    st.builds(
        Answer,
        st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)),
        st.integers(0, 2**32 - 1),
    ),
    max_size=20,
)


@given(ANSWERS)
def test_answers_round_trip(answers):
    kept = tuple(answers[:MAX_ANSWERS])
    assert decode_answers(encode_answers(tuple(answers))) == kept


@given(st.binary(max_size=400))
def test_answers_never_crash(data):
    try:
        answers = decode_answers(data)
    except DecodeError:
        return
    assert encode_answers(answers) == data


@pytest.mark.parametrize("data", [b"\x11", b"\x01\x05abcde\0\0\0\0", b"\x00a"])
def test_malformed_answers_are_refused(data):
    with pytest.raises(DecodeError):
        decode_answers(data)


def test_reasons_and_addresses():
    assert decode_end(b"\x05") is EndReason.RESOLVE_FAILED
    assert decode_end(b"\xff") is EndReason.INTERNAL
    for size in (0, 4, 16):
        assert decode_address(bytes(size)) == bytes(size)
    with pytest.raises(DecodeError):
        decode_address(bytes(5))
