"""The chain client: one asynchronous JSON-RPC connection, used by daemons and commands alike.

It is built on `AsyncWeb3`: daemons live on an event loop and must be able to stop a request, and
a command simply says ``asyncio.run``. Values go in and out as plain dataclasses; errors of web3
become the typed errors of `qnet.chain.errors`.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from web3 import AsyncWeb3
from web3.exceptions import (
    BlockNotFound,
    ContractLogicError,
    TransactionNotFound,
    Web3Exception,
    Web3RPCError,
)
from web3.types import RPCEndpoint

from qnet.address import checksum_address
from qnet.chain.errors import (
    ChainBusyError,
    ChainRestartedError,
    ChainUnreachableError,
    ContractError,
    NonceSpentError,
    WrongChainError,
)
from qnet.chain.reverts import decode_revert
from qnet.chain.rpc import DEFAULT_TIMEOUT_S, MAX_ANSWER_BYTES, BoundedProvider
from qnet.chain.values import Block, BlockTag, Call, Fees, Log, TxReceipt
from qnet.crypto.keys import ADDRESS_BYTES
from qnet.errors import ChainUnrecoverableError, FundsError

GAS_MARGIN_PERCENT: Final = 130
"""An estimate is raised to this, because the state may change before the transaction is mined."""
GAS_MARGIN_CALL: Final = 150_000
"""Added for calls of contracts: checkpoints (votes, bonds, parameters) of one second share a
storage slot, those a second later take new ones at 22,000 gas each. Unused gas is not paid for."""
MIN_PRIORITY_FEE_WEI: Final = 1_000_000_000
HASH_BYTES: Final = 32

_BUSY: Final = ("underpriced", "max fee per gas less than block base fee", "limit exceeded")
_KNOWN: Final = ("already known", "already imported", "alreadyknown")


class ChainClient:
    """A connection to one node; use `connect`.

    Args:
        provider: an open transport.
        chain_id: EIP-155 chain id the node serves.
        genesis_hash: 32-byte hash of block 0.
    """

    def __init__(self, provider: BoundedProvider, *, chain_id: int, genesis_hash: bytes) -> None:
        self._web3: AsyncWeb3[Any] = AsyncWeb3(provider, middleware=[])
        self._provider = provider
        self.chain_id = chain_id
        self.genesis_hash = genesis_hash

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str,
        *,
        expected_chain_id: int | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> AsyncIterator["ChainClient"]:
        """Connect to a node for the length of an ``async with`` block.

        Args:
            url: ``http(s)://`` address of the node.
            expected_chain_id: refuse every other chain.
            timeout_s: deadline of one request, in seconds.
            max_answer_bytes: longest answer accepted.

        Raises:
            ChainUnreachableError: nothing answers there.
            WrongChainError: the node serves another chain.
        """
        provider = BoundedProvider(url, timeout_s=timeout_s, max_answer_bytes=max_answer_bytes)
        async with provider:
            probe = cls(provider, chain_id=0, genesis_hash=b"")
            with _typed_errors():
                chain_id = int(await probe.request("eth_chainId"), 16)
            if expected_chain_id is not None and chain_id != expected_chain_id:
                raise WrongChainError(
                    f"the node at {url} serves chain {chain_id}, not {expected_chain_id}",
                    try_=("point `rpc` at a node of the right chain",),
                )
            genesis = await probe.block(0)
            yield cls(provider, chain_id=chain_id, genesis_hash=genesis.hash)

    @property
    def url(self) -> str:
        """Address of the node."""
        return self._provider.url

    # -- reading ---------------------------------------------------------------------------

    async def request(self, method: str, *params: object) -> Any:
        """Send a raw request, for methods that only some nodes have (``evm_*``, ``anvil_*``).

        Raises:
            ChainUnrecoverableError: the node reports an error.
        """
        answer = await self._provider.make_request(RPCEndpoint(method), list(params))
        if "error" in answer:
            raise ChainUnrecoverableError(
                f"the node refused {method}", why=_error_message(answer["error"])
            )
        return answer["result"]

    async def block(self, at: BlockTag = "latest") -> Block:
        """Read a block's header.

        Raises:
            ChainRestartedError: the block does not exist (any more).
        """
        with _typed_errors():
            try:
                raw = await self._web3.eth.get_block(at)
            except BlockNotFound as error:
                raise ChainRestartedError(
                    f"the chain has no block {at}",
                    why="it was restarted, or the node is still catching up",
                ) from error
            return Block(
                number=int(raw["number"]),
                hash=_hash(raw["hash"]),
                parent_hash=_hash(raw["parentHash"]),
                timestamp=int(raw["timestamp"]),
                base_fee_wei=int(raw.get("baseFeePerGas", 0)),
            )

    async def balance(self, address: bytes, at: BlockTag = "latest") -> int:
        """Read an account's native coin, in wei."""
        with _typed_errors():
            return int(await self._web3.eth.get_balance(_text(address), at))

    async def code(self, address: bytes, at: BlockTag = "latest") -> bytes:
        """Read the code of an address; empty if there is none."""
        with _typed_errors():
            return _bytes(await self._web3.eth.get_code(_text(address), at))

    async def storage(self, address: bytes, slot: int, at: BlockTag = "latest") -> bytes:
        """Read one storage slot, 32 bytes."""
        with _typed_errors():
            word = await self._web3.eth.get_storage_at(_text(address), slot, at)
            return _bytes(word).rjust(32, b"\0")

    async def transaction_count(self, address: bytes, at: BlockTag = "pending") -> int:
        """Read an account's next nonce."""
        with _typed_errors():
            return int(await self._web3.eth.get_transaction_count(_text(address), at))

    async def call(
        self, call: Call, *, at: BlockTag = "latest", sender: bytes | None = None
    ) -> bytes:
        """Run a call without sending it.

        Raises:
            ContractError: the contract refuses, with its error's name and arguments.
        """
        with _typed_errors(call):
            return _bytes(await self._web3.eth.call(self._transaction(call, sender), at))

    async def estimate_gas(self, call: Call, sender: bytes) -> int:
        """Estimate the gas of a call on the pending state, with a margin.

        Raises:
            ContractError: the contract refuses.
            FundsError: the sender cannot pay.
        """
        with _typed_errors(call):
            estimate = int(await self._web3.eth.estimate_gas(self._transaction(call, sender)))
        margin = GAS_MARGIN_CALL if call.data else 0
        return estimate * GAS_MARGIN_PERCENT // 100 + margin

    async def fees(self) -> Fees:
        """Suggest EIP-1559 fees that stay valid while the base fee doubles."""
        base_fee_wei = (await self.block("latest")).base_fee_wei
        with _typed_errors():
            suggested = int(await self._web3.eth.max_priority_fee)
        priority = max(suggested, MIN_PRIORITY_FEE_WEI)
        return Fees(max_fee_wei=2 * base_fee_wei + priority, priority_fee_wei=priority)

    async def logs(
        self,
        addresses: Sequence[bytes],
        *,
        from_block: int,
        to_block: int,
        topics: Sequence[bytes] = (),
    ) -> list[Log]:
        """Read events of contracts in the closed range of blocks.

        Args:
            addresses: contracts, 20 bytes each.
            from_block: first block.
            to_block: last block.
            topics: accepted first topics (event hashes); all if empty.
        """
        accepted = [["0x" + topic.hex() for topic in topics]] if topics else []
        with _typed_errors():
            raw = await self._web3.eth.get_logs(
                {
                    "address": [_text(address) for address in addresses],
                    "fromBlock": from_block,
                    "toBlock": to_block,
                    "topics": accepted,
                }
            )
            return [_log(entry) for entry in raw]

    async def tx_receipt(self, tx_hash: bytes) -> TxReceipt | None:
        """Read the result of a transaction; None while it is not mined."""
        with _typed_errors():
            try:
                raw = await self._web3.eth.get_transaction_receipt("0x" + tx_hash.hex())  # type: ignore[arg-type]
            except TransactionNotFound:
                return None
            created = raw.get("contractAddress")
            return TxReceipt(
                tx_hash=_hash(raw["transactionHash"]),
                succeeded=raw["status"] == 1,
                block_number=int(raw["blockNumber"]),
                block_hash=_hash(raw["blockHash"]),
                gas_used=int(raw["gasUsed"]),
                gas_price_wei=int(raw["effectiveGasPrice"]),
                contract_address=_address(created) if created else None,
                logs=tuple(_log(entry) for entry in raw["logs"]),
            )

    async def sent_call(self, tx_hash: bytes) -> Call | None:
        """What a transaction called; None if the node does not know it."""
        with _typed_errors():
            try:
                raw = await self._web3.eth.get_transaction("0x" + tx_hash.hex())  # type: ignore[arg-type]
            except TransactionNotFound:
                return None
            to = raw.get("to")
            return Call(_address(to) if to else None, _bytes(raw["input"]), int(raw["value"]))

    # -- sending ---------------------------------------------------------------------------

    async def broadcast(self, raw: bytes) -> None:
        """Hand a signed transaction to the node; doing it twice is harmless.

        Raises:
            ChainBusyError: refused for now (fee too low, pool full).
            NonceSpentError: the account has used this nonce already.
            FundsError: the account cannot pay.
        """
        with _typed_errors():
            try:
                await self._web3.eth.send_raw_transaction(raw)
            except Web3RPCError as error:
                if not any(sign in str(error).lower() for sign in _KNOWN):
                    raise

    def _transaction(self, call: Call, sender: bytes | None) -> Any:
        transaction: dict[str, Any] = {"data": "0x" + call.data.hex(), "value": call.value_wei}
        if call.to is not None:
            transaction["to"] = _text(call.to)
        if sender is not None:
            transaction["from"] = _text(sender)
        return transaction


@contextmanager
def _typed_errors(call: Call | None = None) -> Iterator[None]:
    """Turn web3's errors, and answers that make no sense, into typed errors."""
    try:
        yield
    except ContractLogicError as error:
        raise _contract_error(error, call or Call(None, label="the node")) from error
    except Web3Exception as error:
        raise _translate(error) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ChainUnreachableError(
            "the node's answer makes no sense", why=f"{type(error).__name__}: {error}"
        ) from error


def _text(address: bytes) -> Any:
    return checksum_address(address)


def _hash(value: Any) -> bytes:
    decoded = _bytes(value)
    if len(decoded) != HASH_BYTES:
        raise ValueError("a hash does not have 32 bytes")
    return decoded


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} instead of bytes")
    return bytes(value)


def _address(text: str) -> bytes:
    decoded = bytes.fromhex(text.removeprefix("0x"))
    if len(decoded) != ADDRESS_BYTES:
        raise ValueError("an address does not have 20 bytes")
    return decoded


def _log(raw: Mapping[str, Any]) -> Log:
    return Log(
        address=_address(raw["address"]),
        topics=tuple(_hash(topic) for topic in raw["topics"]),
        data=_bytes(raw["data"]),
        block_number=int(raw["blockNumber"]),
        block_hash=_hash(raw["blockHash"]),
        tx_hash=_hash(raw["transactionHash"]),
        index=int(raw["logIndex"]),
    )


def _error_message(error: Any) -> str:
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)


def _contract_error(error: ContractLogicError, call: Call) -> ContractError:
    data = error.data
    encoded = bytes.fromhex(data[2:]) if isinstance(data, str) and data.startswith("0x") else b""
    target = call.label or (checksum_address(call.to) if call.to else "a constructor")
    return decode_revert(encoded, fallback=error.message or "", target=target)


def _translate(error: Web3Exception) -> Exception:
    """Turn what the node said into recoverable, unrecoverable or funds errors."""
    text = error.message if isinstance(error, Web3RPCError) else str(error)
    lowered = text.lower()
    if "nonce too low" in lowered or "nonce is too low" in lowered:
        return NonceSpentError("the account has sent another transaction with this nonce", why=text)
    if "insufficient funds" in lowered:
        return FundsError("the account cannot pay for the transaction", why=text)
    if any(sign in lowered for sign in _BUSY):
        return ChainBusyError("the node refuses the transaction for now", why=text)
    if isinstance(error, Web3RPCError):
        return ChainUnrecoverableError("the node reports an error", why=text)
    return ChainUnreachableError("the node's answer makes no sense", why=text)
