"""EVM addresses: 20 bytes inside the programs, EIP-55 text at the edge."""

import re
from typing import Final

from qnet.crypto.keys import ADDRESS_BYTES, keccak256
from qnet.errors import UsageError

ZERO_ADDRESS: Final = bytes(ADDRESS_BYTES)

_HEX_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")


def checksum_address(address: bytes) -> str:
    """Write a 20-byte address as EIP-55 text, 42 characters.

    Raises:
        ValueError: not 20 bytes.
    """
    if len(address) != ADDRESS_BYTES:
        raise ValueError(f"an address has {ADDRESS_BYTES} bytes, not {len(address)}")
    digits = address.hex()
    mask = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(nibble, 16) >= 8 else digit
        for digit, nibble in zip(digits, mask, strict=False)
    )


def parse_address(text: str) -> bytes:
    """Read an address; text in mixed case must carry the right EIP-55 checksum.

    Returns:
        20 bytes.

    Raises:
        UsageError: not an address, or the checksum says that it was mistyped.
    """
    stripped = text.strip()
    if _HEX_ADDRESS.fullmatch(stripped) is None:
        raise UsageError(f"{text!r} is not an address", why="write 0x and 40 hexadecimal digits")
    address = bytes.fromhex(stripped[2:])
    digits = stripped[2:]
    if digits not in {digits.lower(), digits.upper()} and checksum_address(address) != stripped:
        raise UsageError(
            f"{text!r} does not pass its checksum",
            why="a digit was mistyped",
            try_=("copy the address again",),
        )
    return address
