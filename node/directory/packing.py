"""How directory documents are packed: zstd frames, alone or as differences to a document held.

A difference is one frame whose dictionary is the canonical payload of the consensus that the
receiver holds: whatever stands in both is a reference. It is trusted no more than a full document:
its size is bounded before it is unpacked, and the result must carry the quorum's signatures.

Source: docs/spec/directory.md, section Exchange.
"""

from typing import Final

import zstandard

from qnet.errors import DecodeError

ZSTD_LEVEL: Final = 9
ZSTD_WINDOW_MAX_BYTES: Final = 1 << 26
"""Memory a decompressor may claim for one frame beside its output."""
DIFF_LEVEL: Final = 4
DIFF_HASH_LOG_MIN: Final = 10
DIFF_HASH_LOG_MAX: Final = 23
"""8 million places: finds what two documents of 20,000 nodes share, with 48 MiB while it works."""
DIFF_MIN_MATCH: Final = 6


def compress(data: bytes) -> bytes:
    """Compress a document into one zstd frame that states its size."""
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True).compress(data)


def decompress(data: bytes, max_bytes: int) -> bytes:
    """Undo :func:`compress` without ever claiming more than `max_bytes` of output.

    Raises:
        DecodeError: malformed, trailing bytes, of unstated size or too large.
    """
    return _unpack(
        zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_MAX_BYTES), data, max_bytes
    )


def make_diff(base: bytes, document: bytes) -> bytes:
    """Compress a document into a frame that only who holds `base` can read.

    Args:
        base: canonical payload of the consensus held.
        document: wire form of the newer one.
    """
    together = (len(base) + len(document)).bit_length()
    hash_log = min(max(together - 2, DIFF_HASH_LOG_MIN), DIFF_HASH_LOG_MAX)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        DIFF_LEVEL,
        source_size=len(document),
        dict_size=len(base),
        strategy=zstandard.STRATEGY_DFAST,
        window_log=max(together, zstandard.WINDOWLOG_MIN),
        hash_log=hash_log,
        chain_log=hash_log - 1,
        min_match=DIFF_MIN_MATCH,
        write_content_size=True,
    )
    compressor = zstandard.ZstdCompressor(
        compression_params=parameters, dict_data=_dictionary(base)
    )
    return compressor.compress(document)


def apply_diff(base: bytes, diff: bytes, max_bytes: int) -> bytes:
    """Undo :func:`make_diff`; with another base the result is garbage or an error.

    Raises:
        DecodeError: malformed, trailing bytes, of unstated size or too large.
    """
    decoder = zstandard.ZstdDecompressor(
        dict_data=_dictionary(base), max_window_size=ZSTD_WINDOW_MAX_BYTES
    )
    return _unpack(decoder, diff, max_bytes)


def _dictionary(base: bytes) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def _unpack(decoder: zstandard.ZstdDecompressor, data: bytes, max_bytes: int) -> bytes:
    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= max_bytes:
            raise DecodeError(f"compressed answer exceeds {max_bytes} bytes, or hides its size")
        return decoder.decompress(data, max_output_size=max_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise DecodeError("malformed zstd data") from error
