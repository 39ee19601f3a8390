"""Base of the typed contract wrappers.

Reading methods are coroutines and return plain values. Writing methods return a `Call` at once:
the caller previews, sends (`Sender.send`) or proposes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from qnet.address import checksum_address
from qnet.chain.abi import Abi
from qnet.chain.artifact import load_artifact
from qnet.chain.client import ChainClient
from qnet.chain.errors import ContractAbsentError
from qnet.chain.values import BlockTag, Call, Log, TxReceipt
from qnet.errors import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded event.

    Args:
        contract: name of the contract.
        name: name of the event.
        arguments: by the names in the interface; addresses are 20 bytes.
        log: where it stands.
    """

    contract: str
    name: str
    arguments: Mapping[str, Any]
    log: Log


class Contract:
    """One deployed contract.

    Args:
        client: the chain.
        address: 20 bytes; the proxy's for upgradeable contracts.
    """

    NAME: ClassVar[str]

    def __init__(self, client: ChainClient, address: bytes) -> None:
        self.client = client
        self.address = address
        self.abi: Abi = load_artifact(self.NAME).abi

    def __repr__(self) -> str:
        return f"{self.NAME}({checksum_address(self.address)})"

    def event(self, log: Log) -> Event | None:
        """Decode a log of this contract; None for events its interface does not name.

        Raises:
            RemoteProtocolError: the log does not fit the interface.
        """
        if log.address != self.address or not log.topics:
            return None
        entry = self.abi.events.get(log.topics[0])
        if entry is None:
            return None
        return Event(self.NAME, entry.name, entry.decode_log(log.topics, log.data), log)

    def events(self, result: TxReceipt, name: str) -> list[Event]:
        """Decode the events of one name that a transaction made in this contract."""
        decoded = (self.event(log) for log in result.logs)
        return [event for event in decoded if event is not None and event.name == name]

    def only_event(self, result: TxReceipt, name: str) -> Event:
        """Decode the one event of that name.

        Raises:
            RemoteProtocolError: there is not exactly one.
        """
        found = self.events(result, name)
        if len(found) != 1:
            raise RemoteProtocolError(f"the transaction made {len(found)} events {name}, not 1")
        return found[0]

    async def address_from(self, getter: str) -> bytes:
        """Address (20 bytes) that a getter of the contract returns."""
        return bytes(await self._read(getter))

    async def _read(self, function: str, *arguments: object, at: BlockTag = "latest") -> Any:
        """Call a view; a single result comes bare, several as a tuple."""
        entry = self.abi.function(function)
        call = Call(self.address, entry.encode_call(arguments), label=f"{self.NAME}.{entry.name}")
        data = await self.client.call(call, at=at)
        if not data and entry.outputs:
            raise ContractAbsentError(
                f"{self!r} does not answer",
                why="no contract stands at this address at this block",
                try_=("wait, if the node is catching up", "else compare the manifest and `rpc`"),
            )
        result = entry.decode_result(data)
        return result[0] if len(result) == 1 else result

    def _write(self, function: str, *arguments: object) -> Call:
        entry = self.abi.function(function)
        shown = ", ".join(_shown(argument) for argument in arguments)
        label = f"{self.NAME}.{entry.name}({shown})"
        return Call(self.address, entry.encode_call(arguments), label=label)


def vrs(signature: bytes) -> tuple[int, bytes, bytes]:
    """A signature of 65 bytes as tokens take those of permits."""
    return signature[64], signature[:32], signature[32:64]


def _shown(argument: object) -> str:
    """Write an argument for people: addresses and short hashes in full, long data by its size."""
    if isinstance(argument, bytes):
        if len(argument) == 20:
            return checksum_address(argument)
        return "0x" + argument.hex() if len(argument) <= 32 else f"{len(argument)} bytes"
    if isinstance(argument, list | tuple):
        return "[" + ", ".join(_shown(item) for item in argument) + "]"
    return str(argument)
