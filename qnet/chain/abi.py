"""Contract interfaces: calls, results, events and custom errors as plain Python values.

Addresses are 20 bytes, integers `int`, structures and lists tuples.

Source: Solidity ABI specification; `eth_abi` does the encoding.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from eth_abi.codec import ABICodec
from eth_abi.decoding import AddressDecoder
from eth_abi.encoding import AddressEncoder
from eth_abi.exceptions import DecodingError, EncodingError
from eth_abi.registry import BaseEquals
from eth_abi.registry import registry as default_registry

from qnet.crypto.keys import keccak256
from qnet.errors import LocalProtocolError, NotFoundError, RemoteProtocolError

SELECTOR_BYTES: Final = 4


class _AddressBytesDecoder(AddressDecoder):
    """Leaves an address as the 20 bytes it is."""

    decoder_fn = staticmethod(bytes)  # type: ignore[assignment]  # eth_abi expects text


def _make_codec() -> ABICodec:
    registry = default_registry.copy()  # type: ignore[no-untyped-call]
    registry.unregister("address")
    matcher = BaseEquals("address")  # type: ignore[no-untyped-call]
    registry.register(matcher, AddressEncoder, _AddressBytesDecoder, label="address")
    return ABICodec(registry)


_CODEC: Final = _make_codec()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One named value of an interface.

    Args:
        name: its name, "" if it has none.
        kind: canonical ABI type, structures as ``(uint256,address)``.
        indexed: for events: whether it stands in a topic.
    """

    name: str
    kind: str
    indexed: bool = False

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Read one entry of `inputs` or `outputs`."""
        return cls(str(entry["name"]), _canonical(entry), bool(entry.get("indexed", False)))


def _canonical(entry: Mapping[str, Any]) -> str:
    kind = str(entry["type"])
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(_canonical(component) for component in entry["components"])
    return f"({inner}){kind.removeprefix('tuple')}"


def _kinds(parameters: Iterable[Parameter]) -> list[str]:
    return [parameter.kind for parameter in parameters]


def encode_values(kinds: Sequence[str], values: Sequence[object]) -> bytes:
    """ABI-encode values.

    Raises:
        LocalProtocolError: a value does not fit its type.
    """
    try:
        return _CODEC.encode(kinds, values)
    except (EncodingError, OverflowError, TypeError, ValueError) as error:
        raise LocalProtocolError(f"values do not fit ({','.join(kinds)}): {error}") from error


def decode_values(kinds: Sequence[str], data: bytes) -> tuple[Any, ...]:
    """Decode ABI-encoded values.

    Raises:
        RemoteProtocolError: the bytes do not hold them.
    """
    try:
        return tuple(_CODEC.decode(kinds, data))
    except (DecodingError, OverflowError, ValueError) as error:
        raise RemoteProtocolError(
            f"the chain's answer does not decode as ({','.join(kinds)})"
        ) from error


@dataclass(frozen=True, slots=True)
class Entry:
    """A function, event or custom error of a contract."""

    name: str
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...] = ()

    @property
    def signature(self) -> str:
        """Canonical signature, e.g. ``bond(uint32,uint256)``."""
        return f"{self.name}({','.join(_kinds(self.inputs))})"

    @property
    def hash(self) -> bytes:
        """keccak256 of the signature: the topic of an event; its first 4 bytes are the selector."""
        return keccak256(self.signature.encode())

    def encode_call(self, arguments: Sequence[object]) -> bytes:
        """Return selector and arguments of a call."""
        if len(arguments) != len(self.inputs):
            raise LocalProtocolError(f"{self.signature} was given {len(arguments)} arguments")
        return self.hash[:SELECTOR_BYTES] + encode_values(_kinds(self.inputs), arguments)

    def decode_result(self, data: bytes) -> tuple[Any, ...]:
        """Decode what a call returned."""
        return decode_values(_kinds(self.outputs), data)

    def decode_arguments(self, data: bytes) -> dict[str, Any]:
        """Decode arguments (without selector), by name."""
        values = decode_values(_kinds(self.inputs), data)
        return {
            parameter.name or str(place): value
            for place, (parameter, value) in enumerate(zip(self.inputs, values, strict=True))
        }

    def decode_log(self, topics: Sequence[bytes], data: bytes) -> dict[str, Any]:
        """Decode the arguments of an event; indexed text and bytes stay hashed."""
        plain = [parameter for parameter in self.inputs if not parameter.indexed]
        indexed = [parameter for parameter in self.inputs if parameter.indexed]
        if len(topics) != len(indexed) + 1:
            raise RemoteProtocolError(f"a log of {self.name} has {len(topics)} topics")
        found = dict(
            zip(_names(plain), decode_values(_kinds(plain), data), strict=True),
        )
        for parameter, topic in zip(indexed, topics[1:], strict=True):
            kind = "bytes32" if _is_hashed(parameter.kind) else parameter.kind
            found[parameter.name] = decode_values([kind], topic)[0]
        return {parameter.name: found[parameter.name] for parameter in self.inputs}


def _names(parameters: Iterable[Parameter]) -> list[str]:
    return [parameter.name for parameter in parameters]


def _is_hashed(kind: str) -> bool:
    return kind in {"string", "bytes"} or kind.startswith("(") or kind.endswith("]")


class Abi:
    """The interface of one contract.

    Args:
        entries: the compiler's JSON.
    """

    __slots__ = ("_functions", "constructor", "errors", "events")

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        self._functions: dict[str, list[Entry]] = {}
        self.events: dict[bytes, Entry] = {}
        self.errors: dict[bytes, Entry] = {}
        self.constructor = Entry("", ())
        for entry in entries:
            parsed = _entry(entry)
            match entry["type"]:
                case "function":
                    self._functions.setdefault(parsed.name, []).append(parsed)
                case "event" if not entry.get("anonymous", False):
                    self.events[parsed.hash] = parsed
                case "error":
                    self.errors[parsed.hash[:SELECTOR_BYTES]] = parsed
                case "constructor":
                    self.constructor = parsed

    def function(self, name: str) -> Entry:
        """Find a function by name, or by signature where the name is overloaded.

        Raises:
            NotFoundError: none or several answer to it.
        """
        bare = name.split("(", 1)[0]
        found = self._functions.get(bare, [])
        if name != bare:
            found = [entry for entry in found if entry.signature == name]
        if len(found) != 1:
            raise NotFoundError(f"{len(found)} functions of the contract are called {name}")
        return found[0]

    def function_by_selector(self, selector: bytes) -> Entry | None:
        """Find a function by the first 4 bytes of call data."""
        for entries in self._functions.values():
            for entry in entries:
                if entry.hash[:SELECTOR_BYTES] == selector:
                    return entry
        return None

    def event(self, name: str) -> Entry:
        """Find an event by name.

        Raises:
            NotFoundError: there is none.
        """
        for entry in self.events.values():
            if entry.name == name:
                return entry
        raise NotFoundError(f"the contract has no event {name}")

    def encode_constructor(self, arguments: Sequence[object]) -> bytes:
        """Return the encoded constructor arguments that follow the creation code."""
        kinds = _kinds(self.constructor.inputs)
        if len(arguments) != len(kinds):
            raise LocalProtocolError(f"the constructor takes ({','.join(kinds)})")
        return encode_values(kinds, arguments)


def _entry(entry: Mapping[str, Any]) -> Entry:
    return Entry(
        str(entry.get("name", "")),
        tuple(Parameter.from_json(item) for item in entry.get("inputs", ())),
        tuple(Parameter.from_json(item) for item in entry.get("outputs", ())),
    )


STANDARD_ERRORS: Final = Abi(
    [
        {"type": "error", "name": "Error", "inputs": [{"name": "message", "type": "string"}]},
        {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
    ]
).errors
