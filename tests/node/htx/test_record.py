"""Records: sizes, vectors, and everything that must not open."""

import json
import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.htx import record
from node.htx.record import (
    CELL_BYTES,
    HEADER_BYTES,
    SIZES,
    RecordCipher,
    RecordOpener,
    RecordSealer,
    RecordType,
    cells_of,
    content_of,
    decode_header,
    size_for,
)
from qnet.crypto.kdf import blake3
from qnet.errors import CryptoError, DecodeError, LocalProtocolError

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "htx" / "record.json").read_text())


def open_record(opener, data):
    kind, length = decode_header(data[:HEADER_BYTES])
    assert length == len(data) - HEADER_BYTES
    return kind, opener.open(data[:HEADER_BYTES], memoryview(data)[HEADER_BYTES:])


@pytest.mark.parametrize(
    ("name", "cipher"),
    [("vectors", RecordCipher.CHACHA20_POLY1305), ("aes_256_gcm", RecordCipher.AES_256_GCM)],
)
@pytest.mark.parametrize("resting", [False, True])
def test_vectors(name, cipher, resting):
    key = bytes.fromhex(VECTORS["key"])
    sealer, opener = RecordSealer(key, cipher), RecordOpener(key, cipher)
    for vector in VECTORS[name]:
        if resting:
            sealer.rest()
            opener.rest()
        number, size = vector["counter"], vector["content_bytes"]
        content = bytes((7 * at + number) % 256 for at in range(size))
        kind = RecordType(vector["type"])
        if kind is RecordType.CELLS:
            cells = [content[at : at + CELL_BYTES] for at in range(0, size, CELL_BYTES)]
            data = sealer.seal_cells(cells)
        else:
            data = sealer.seal(kind, content, vector["total"])
        assert len(data) == vector["total"]
        assert data[:32].hex() == vector["first_32"]
        assert data[-16:].hex() == vector["tag"]
        assert blake3(data).hex() == vector["blake3"]
        assert content_of(open_record(opener, data)[1]) == content
    assert sealer.records == opener.records == len(VECTORS[name])
    assert sealer.sealed_bytes == opener.opened_bytes


@given(st.integers(0, record.MAX_CONTENT_BYTES))
def test_size_is_the_smallest_bucket_that_fits(length):
    total = size_for(length)
    assert total in SIZES
    assert total - 22 >= length
    smaller = [size for size in SIZES if size < total]
    assert not smaller or smaller[-1] - 22 < length


def test_what_does_not_fit_is_our_own_fault():
    sealer = RecordSealer(bytes(32))
    with pytest.raises(LocalProtocolError):
        size_for(record.MAX_CONTENT_BYTES + 1)
    for content, total in ((bytes(235), 256), (b"", 300), (b"", 8 * 2336)):
        with pytest.raises(LocalProtocolError):
            sealer.seal(RecordType.PADDING, content, total)


@pytest.mark.parametrize("count", range(1, 8))
def test_cells_round_trip(count):
    cells = [secrets.token_bytes(CELL_BYTES) for _ in range(count)]
    data = RecordSealer(bytes(32)).seal_cells(cells)
    assert len(data) == count * 2336
    kind, plaintext = open_record(RecordOpener(bytes(32)), data)
    assert kind is RecordType.CELLS
    assert cells_of(plaintext) == cells


@pytest.mark.parametrize("cipher", RecordCipher)
@pytest.mark.parametrize("total", SIZES[:3])
def test_no_flipped_bit_opens(total, cipher):
    data = RecordSealer(bytes(32), cipher).seal(RecordType.PADDING, b"x", total)
    for at in (*range(24), total // 2, total - 16, total - 1):
        for bit in range(8):
            altered = bytearray(data)
            altered[at] ^= 1 << bit
            opener = RecordOpener(bytes(32), cipher)
            with pytest.raises(CryptoError):
                opener.open(bytes(altered[:4]), memoryview(altered)[4:])
            assert opener.records == 0


def test_a_key_seals_no_record_twice_with_a_counter():
    sealer = RecordSealer(bytes(32))
    sealer.records = (1 << 64) - 2
    sealer.seal(RecordType.PADDING, b"")
    for seal in (lambda: sealer.seal(RecordType.PADDING, b""), lambda: sealer.seal_cells([b""])):
        with pytest.raises(LocalProtocolError):
            seal()


def test_order_and_repetition_matter():
    sealer, opener = RecordSealer(bytes(32)), RecordOpener(bytes(32))
    first, second = (sealer.seal(RecordType.PADDING, b"") for _ in range(2))
    with pytest.raises(CryptoError):
        open_record(opener, second)
    open_record(opener, first)
    with pytest.raises(CryptoError):
        open_record(opener, first)


@given(st.binary(min_size=4, max_size=4))
def test_headers_name_known_types_and_sizes_only(header):
    try:
        kind, length = decode_header(header)
    except DecodeError:
        return
    assert kind in RecordType
    assert length + HEADER_BYTES in SIZES


@given(st.binary(max_size=300), st.integers(0, 3000))
def test_contents_never_crash(start, length):
    plaintext = start.ljust(length, b"\x00")
    for decode in (content_of, cells_of):
        try:
            decode(plaintext)
        except DecodeError:
            continue


def test_padding_that_is_not_zeros_is_refused():
    good = (5).to_bytes(2, "big") + b"hello" + bytes(229)
    assert content_of(good) == b"hello"
    with pytest.raises(DecodeError):
        content_of(good[:-1] + b"\x01")
    with pytest.raises(DecodeError):
        content_of((235).to_bytes(2, "big") + bytes(234))
    cells = CELL_BYTES.to_bytes(2, "big") + bytes(2336 - 22)
    assert cells_of(cells) == [bytes(CELL_BYTES)]
    with pytest.raises(DecodeError):
        cells_of(cells[:-1] + b"\x01")
    with pytest.raises(DecodeError):
        cells_of(b"\x08\x01" + cells[2:])
    with pytest.raises(DecodeError):
        cells_of(bytes(236))
