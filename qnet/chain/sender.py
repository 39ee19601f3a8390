"""Sending transactions: one owner of an account's nonces, EIP-1559 fees, typed outcomes.

A transaction is made in two steps, so that a program which must not send twice can write the
signed bytes down in between: `Sender.prepare` signs, `ChainClient.broadcast` sends, as often as
needed. `Sender.send` does both and waits.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from eth_account import Account

from qnet.address import checksum_address
from qnet.chain.client import ChainClient
from qnet.chain.confirmations import wait_final, wait_mined
from qnet.chain.errors import ContractError, TransactionFailedError
from qnet.chain.values import Call, Fees, TxReceipt
from qnet.crypto.keys import ReceiptKey, keccak256
from qnet.errors import ChainError

DEFAULT_WAIT_S: Final = 60.0

Wait = Literal["mined", "final"]


class TransactionSigner(Protocol):
    """An account that can sign transactions."""

    @property
    def address(self) -> bytes:
        """20-byte address."""
        ...

    def sign_transaction(self, fields: dict[str, Any]) -> bytes:
        """Return the encoded signed transaction."""
        ...


class KeySigner:
    """Signs with a secp256k1 key in memory.

    Args:
        key: the account's key.
    """

    __slots__ = ("_key",)

    def __init__(self, key: ReceiptKey) -> None:
        self._key = key

    @property
    def address(self) -> bytes:
        """20-byte address."""
        return self._key.address

    def sign_transaction(self, fields: dict[str, Any]) -> bytes:
        """Return the encoded signed EIP-1559 transaction."""
        return bytes(Account.sign_transaction(fields, self._key.secret).raw_transaction)


@dataclass(frozen=True, slots=True)
class PreparedTransaction:
    """A signed transaction that may be written down before it is sent.

    Args:
        raw: its encoding.
        tx_hash: 32 bytes.
        nonce: place among the account's transactions.
        call: what it does.
        gas_limit: most gas it can use.
        fees: its fees per gas.
    """

    raw: bytes
    tx_hash: bytes
    nonce: int
    call: Call
    gas_limit: int
    fees: Fees

    @property
    def max_cost_wei(self) -> int:
        """Most that can leave the account: value and fee, in wei of the native coin."""
        return self.call.value_wei + self.gas_limit * self.fees.max_fee_wei


class Sender:
    """The one owner of an account's nonces in this process.

    Args:
        client: the chain.
        signer: the account.
    """

    def __init__(self, client: ChainClient, signer: TransactionSigner) -> None:
        self._client = client
        self._signer = signer
        self._nonce_lock = asyncio.Lock()

    @property
    def address(self) -> bytes:
        """20-byte address of the account."""
        return self._signer.address

    async def check(self, call: Call) -> int:
        """Try a call without sending it.

        Returns:
            The gas limit it needs.

        Raises:
            ContractError: the contract refuses; `confirmed` tells whether the finalized state
                does so too.
            FundsError: the account cannot pay.
        """
        try:
            return await self._client.estimate_gas(call, self.address)
        except ContractError as error:
            error.confirmed = await self._refused_at_finality(call)
            raise

    async def _refused_at_finality(self, call: Call) -> bool:
        try:
            await self._client.call(call, at="finalized", sender=self.address)
        except ChainError:  # a node that cannot tell must not hide the refusal
            return True
        return False

    async def prepare(self, call: Call) -> PreparedTransaction:
        """Check, price and sign a call with the account's next nonce.

        Nothing is sent: preparing twice without sending gives the same nonce twice.

        Raises:
            ContractError: the contract refuses.
            FundsError: the account cannot pay.
        """
        gas_limit = await self.check(call)
        fees = await self._client.fees()
        nonce = await self._client.transaction_count(self.address, "pending")
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self._client.chain_id,
            "nonce": nonce,
            "gas": gas_limit,
            "maxFeePerGas": fees.max_fee_wei,
            "maxPriorityFeePerGas": fees.priority_fee_wei,
            "value": call.value_wei,
            "data": "0x" + call.data.hex(),
        }
        if call.to is not None:
            fields["to"] = checksum_address(call.to)
        raw = self._signer.sign_transaction(fields)
        return PreparedTransaction(raw, keccak256(raw), nonce, call, gas_limit, fees)

    async def submit(self, call: Call) -> PreparedTransaction:
        """Prepare and broadcast; calls from several tasks get nonces one after the other."""
        async with self._nonce_lock:
            prepared = await self.prepare(call)
            await self._client.broadcast(prepared.raw)
        return prepared

    async def send(
        self, call: Call, *, wait: Wait = "mined", timeout_s: float = DEFAULT_WAIT_S
    ) -> TxReceipt:
        """Send a call and wait until it is mined or final.

        Raises:
            ContractError: the contract refuses; nothing was sent.
            FundsError: the account cannot pay.
            TransactionFailedError: mined and reverted.
            TransactionTimeoutError: sent, not mined or final in time.
        """
        prepared = await self.submit(call)
        return await self.outcome(prepared, wait=wait, timeout_s=timeout_s)

    async def outcome(
        self,
        prepared: PreparedTransaction,
        *,
        wait: Wait = "mined",
        timeout_s: float = DEFAULT_WAIT_S,
    ) -> TxReceipt:
        """Wait for a transaction sent before.

        Raises:
            TransactionFailedError: mined and reverted, with the reason if it can be found.
            TransactionTimeoutError: not in time.
        """
        waiting = wait_mined if wait == "mined" else wait_final
        result = await waiting(self._client, prepared.tx_hash, timeout_s=timeout_s)
        if not result.succeeded:
            raise TransactionFailedError(
                prepared.tx_hash, await self._diagnose(prepared.call, result.block_number)
            )
        return result

    async def _diagnose(self, call: Call, block_number: int) -> ContractError | None:
        """Repeat a reverted call on the state before its block."""
        try:
            await self._client.call(call, at=max(block_number - 1, 0), sender=self.address)
        except ContractError as error:
            return error
        return None
