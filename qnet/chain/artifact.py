"""Compiled contracts, as committed under `qnet/chain/artifacts/`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from qnet.chain.abi import Abi
from qnet.crypto.keys import keccak256
from qnet.errors import NotFoundError

ARTIFACTS: Final = Path(__file__).parent / "artifacts"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract.

    Args:
        name: its name in Solidity.
        abi: its interface.
        creation_code: what a transaction without receiver carries, before the arguments.
        runtime_code: what stands on the chain afterwards, constants of the constructor left zero.
        constants: (offset, length) of those constants in the runtime code.
        error_words: signature of a custom error → what it means, from its documentation.
    """

    name: str
    abi: Abi
    creation_code: bytes
    runtime_code: bytes
    constants: tuple[tuple[int, int], ...]
    error_words: Mapping[str, str]

    def deployment_code(self, arguments: Sequence[object]) -> bytes:
        """Return creation code followed by the encoded constructor arguments."""
        return self.creation_code + self.abi.encode_constructor(arguments)

    def is_code(self, code: bytes) -> bool:
        """Tell whether code on a chain was compiled from this contract."""
        return self._masked(code) == self._masked(self.runtime_code)

    def masked_hash(self, code: bytes) -> bytes:
        """keccak256 of code with the constructor's constants set to zero, 32 bytes."""
        return keccak256(self._masked(code))

    def _masked(self, code: bytes) -> bytes:
        masked = bytearray(code)
        for offset, length in self.constants:
            masked[offset : offset + length] = bytes(length)
        return bytes(masked)


@cache
def load_artifact(name: str) -> Artifact:
    """Load one contract by name.

    Raises:
        NotFoundError: it is not among the compiled contracts.
    """
    path = ARTIFACTS / f"{name}.json"
    if not path.is_file():
        raise NotFoundError(f"no compiled contract {name}", try_=("run scripts/compile-contracts",))
    found = json.loads(path.read_text(encoding="utf-8"))
    return Artifact(
        name=name,
        abi=Abi(found["abi"]),
        creation_code=_code(found["bytecode"]),
        runtime_code=_code(found["deployedBytecode"]),
        constants=tuple((offset, length) for offset, length in found["immutableReferences"]),
        error_words=found["errorWords"],
    )


def _code(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


@cache
def all_artifacts() -> tuple[Artifact, ...]:
    """Load every compiled contract, in order of name."""
    return tuple(load_artifact(path.stem) for path in sorted(ARTIFACTS.glob("*.json")))
