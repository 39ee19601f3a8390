"""Bounded reader and writer of big-endian binary formats."""

from typing import Self

from qnet.errors import DecodeError


class Reader:
    """Reads integers and byte strings from a buffer, never past its end.

    Args:
        data: the whole message.
    """

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = bytes(data)
        self._position = 0

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._position

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes.

        Raises:
            DecodeError: fewer are left.
        """
        if size < 0 or size > self.remaining:
            raise DecodeError(f"message ends early: {size} bytes wanted, {self.remaining} left")
        start = self._position
        self._position = start + size
        return self._data[start : start + size]

    def _uint(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def u8(self) -> int:
        """Read 1 byte."""
        return self._uint(1)

    def u16(self) -> int:
        """Read 2 bytes."""
        return self._uint(2)

    def u24(self) -> int:
        """Read 3 bytes."""
        return self._uint(3)

    def u32(self) -> int:
        """Read 4 bytes."""
        return self._uint(4)

    def u64(self) -> int:
        """Read 8 bytes."""
        return self._uint(8)

    def rest(self) -> bytes:
        """Return everything not read yet."""
        return self.take(self.remaining)

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            DecodeError: bytes follow the message.
        """
        if self.remaining:
            raise DecodeError(f"{self.remaining} bytes follow the message")


class Writer:
    """Builds a message; every method returns the writer, so calls chain."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def take(self, data: bytes) -> Self:
        """Append bytes as they are."""
        self._parts.append(data)
        return self

    def _uint(self, value: int, size: int) -> Self:
        if not 0 <= value < 1 << (8 * size):
            raise ValueError(f"{value} does not fit in {size} bytes")
        self._parts.append(value.to_bytes(size, "big"))
        return self

    def u8(self, value: int) -> Self:
        """Append 1 byte."""
        return self._uint(value, 1)

    def u16(self, value: int) -> Self:
        """Append 2 bytes."""
        return self._uint(value, 2)

    def u24(self, value: int) -> Self:
        """Append 3 bytes."""
        return self._uint(value, 3)

    def u32(self, value: int) -> Self:
        """Append 4 bytes."""
        return self._uint(value, 4)

    def u64(self, value: int) -> Self:
        """Append 8 bytes."""
        return self._uint(value, 8)

    def bytes(self) -> bytes:
        """Return what was written."""
        return b"".join(self._parts)
