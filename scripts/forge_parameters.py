"""Write tests/forge/support/MainParameters.sol: the main network's parameters for the Forge tests.

`scripts/forge_parameters.py` writes it, `--check` compares it with the parameters of the product.
"""

import sys
from pathlib import Path

from qnet.parameters import BOUNDS

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "tests" / "forge" / "support" / "MainParameters.sol"
PINNED = ("slot_s", "slots_per_epoch")
MAIN_CHAIN = 1
HEAD = """// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Parameters of the main network, in declared order, with their bounds
/// @dev Written by scripts/forge_parameters.py from qnet/parameters.py.
library MainParameters {
    function all()
        internal
        pure
        returns (
            bytes32[] memory keys,
            uint256[] memory values,
            uint256[] memory mins,
            uint256[] memory maxs
        )
    {
"""


def source() -> str:
    """Return the file as it must be."""
    lines = [
        f"        {name} = new {kind}[]({len(BOUNDS)});\n"
        for name, kind in (
            ("keys", "bytes32"),
            ("values", "uint256"),
            ("mins", "uint256"),
            ("maxs", "uint256"),
        )
    ]
    for place, (name, bounds) in enumerate(BOUNDS.items()):
        value = bounds.main
        low, high = (value, value) if name in PINNED else (bounds.low_on(MAIN_CHAIN), bounds.high)
        lines.append(
            f'        (keys[{place}], values[{place}], mins[{place}], maxs[{place}]) = ("{name}", '
            f"{value}, {low}, {high});\n"
        )
    return HEAD + "".join(lines) + "    }\n}\n"


def main() -> int:
    """Write the file, or say that it is out of date."""
    if "--check" not in sys.argv[1:]:
        FILE.write_text(source())
        return 0
    if FILE.exists() and FILE.read_text() == source():
        return 0
    sys.stderr.write(f"{FILE.relative_to(ROOT)} is out of date: run scripts/forge_parameters.py\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
