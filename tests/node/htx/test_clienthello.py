"""ClientHello parsing and JA4, against `utls` as a second opinion."""

import pytest
import utls
from hypothesis import given
from hypothesis import strategies as st

from node.htx.clienthello import decode_client_hello
from node.io.tls import TlsStream, client_context, default_template
from qnet.errors import DecodeError


def hello(preset, name="notes.example"):
    context = utls.SSLContext(utls.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = utls.CERT_NONE
    context.set_fingerprint(preset)
    stream = TlsStream(context, name)
    stream.handshake()
    return stream.output()


@pytest.mark.parametrize("preset", [name for name in utls.presets() if name.startswith("chrome")])
def test_ja4_agrees_with_utls(preset):
    data = hello(preset)
    assert decode_client_hello(data).ja4() == utls.Fingerprint.from_capture(data).ja4_hash


def test_every_hello_of_the_template_has_its_ja4_though_bytes_differ():
    template = default_template()
    seen = set()
    for _ in range(20):
        stream = TlsStream(client_context(template), "notes.example")
        stream.handshake()
        data = stream.output()
        seen.add(data)
        decoded = decode_client_hello(data)
        assert decoded.ja4() == template.ja4
        assert decoded.has_server_name
    assert len(seen) == 20


def test_a_hello_in_two_records_is_joined():
    data = hello("chrome:stable")
    body = data[5:]
    split = b"".join(
        b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in (body[:700], body[700:])
    )
    assert decode_client_hello(split + b"\x14\x03\x03\x00\x01\x01") == decode_client_hello(data)


def test_a_bare_hello():
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00" + b"\x00\x00"
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    data = b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake
    assert decode_client_hello(data).ja4() == "t12i010000_" + "0f2cb44170f4_" + "0" * 12


def test_other_handshake_messages_are_refused():
    with pytest.raises(DecodeError, match="not a ClientHello"):
        decode_client_hello(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00")


def extended(extensions):
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00"
    body += len(extensions).to_bytes(2, "big") + extensions
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake


@pytest.mark.parametrize(
    "extension",
    [
        b"\x00\x10\x00\x03\x00\x01\x00",  # an empty ALPN name
        b"\x00\x0d\x00\x03\x00\x01\x04",  # half a signature algorithm
        b"\x00\x10\x00\x04\x00\x01\x00\x00",  # bytes behind the list
    ],
)
def test_malformed_extensions_are_refused(extension):
    with pytest.raises(DecodeError):
        decode_client_hello(extended(extension))


@given(st.binary(max_size=300))
def test_never_crashes_on_garbage(data):
    for start in (b"", b"\x16\x03\x01\x01\x00\x01\x00\x00\xfc\x03\x03"):
        try:
            decode_client_hello(start + data)
        except DecodeError:
            continue


HELLO = hello("chrome:stable")


@given(st.integers(0, len(HELLO) - 1), st.integers(0, 255), st.booleans())
def test_never_crashes_on_altered_hellos(at, value, cut):
    altered = bytearray(HELLO)
    altered[at] = value
    try:
        decode_client_hello(bytes(altered[:at] if cut else altered)).ja4()
    except DecodeError:
        return
