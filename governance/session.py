"""One command's connection: the chain, the contracts, the account that signs."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from governance.errors import StakeMissingError
from qnet.address import checksum_address
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import Deployment
from qnet.chain.sender import KeySigner, PreparedTransaction, Sender
from qnet.chain.values import Call, TxReceipt
from qnet.cli.output import confirm, emit, say
from qnet.cli.settings import settings
from qnet.crypto.keys import ReceiptKey
from qnet.errors import UsageError
from qnet.units import format_qnet
from qnet.wallet.keystore import load as load_keystore
from qnet.wallet.passphrase import PassphraseSource

COIN = 10**18
NEWLINE = "\n"


@dataclass(slots=True)
class Session:
    """Where the chain is and who signs.

    Attributes:
        rpc: JSON-RPC address of a chain node.
        deployment: path of the contract manifest.
        keystore: path of the signing account's keystore.
        passphrase: where its passphrase comes from.
        wait: whether to wait until a transaction is mined.
        checked: whether the contracts' code is compared with the manifest before anything else.
    """

    rpc: str
    deployment: Path
    keystore: Path | None = None
    passphrase: PassphraseSource = field(default_factory=PassphraseSource)
    wait: bool = True
    checked: bool = True
    _contracts: Contracts | None = None
    _account: bytes = b""

    @property
    def contracts(self) -> Contracts:
        """The deployed contracts; only inside `open`."""
        if self._contracts is None:
            raise UsageError("the session is not open")
        return self._contracts

    @property
    def account(self) -> bytes:
        """Address of the signing account, 20 bytes, read without opening its keystore.

        Raises:
            UsageError: no account was named.
        """
        if not self._account:
            if self.keystore is None:
                raise UsageError(
                    "an account is needed", try_=("--account KEYSTORE", "export QNET_ACCOUNT=…")
                )
            self._account = load_keystore(self.keystore).public or self._key().address
        return self._account

    def _key(self) -> ReceiptKey:
        if self.keystore is None:
            raise UsageError("an account is needed", try_=("--account KEYSTORE",))
        found = load_keystore(self.keystore)
        return ReceiptKey(
            found.decrypt(self.passphrase.read(what=f"passphrase of {self.keystore}"))
        )

    def sender(self) -> Sender:
        """The account as a sender of transactions; asks for the passphrase.

        Raises:
            KeyAccessError: passphrase or keystore stand in the way.
        """
        return Sender(self.contracts.client, KeySigner(self._key()))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect to the chain for the length of a block."""
        async with ChainClient.connect(self.rpc, timeout_s=settings().timeout) as client:
            deployment = Deployment.load(self.deployment)
            if self.checked:
                await deployment.check(client)
            else:
                deployment.check_chain(client)
            self._contracts = Contracts.bind(client, deployment)
            try:
                yield
            finally:
                self._contracts = None


def chain_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--rpc` and `--deployment`, and a `session` made from them."""

    @click.option("--rpc", envvar="QNET_RPC", required=True, help="JSON-RPC of a chain node.")
    @click.option(
        "--deployment",
        envvar="QNET_DEPLOYMENT",
        required=True,
        type=click.Path(path_type=Path),
        help="Contract manifest.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, rpc: str, deployment: Path, **kwargs: Any) -> Any:
        return command(*args, session=Session(rpc, deployment), **kwargs)

    return wrapped


def account_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name an account; stands below `chain_options`."""

    @click.option(
        "--account",
        envvar="QNET_ACCOUNT",
        type=click.Path(path_type=Path),
        help="Keystore of the account that signs.",
    )
    @click.option(
        "--passphrase-file",
        envvar="QNET_PASSPHRASE_FILE",
        type=click.Path(path_type=Path),
        help="File of mode 0600.",
    )
    @click.option("--passphrase-fd", type=int, help="Open file descriptor.")
    @click.option("--passphrase-cmd", help="Program that prints it.")
    @click.option("--no-wait", is_flag=True, help="Print the transaction id and do not wait.")
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        session: Session,
        account: Path | None,
        passphrase_file: Path | None,
        passphrase_fd: int | None,
        passphrase_cmd: str | None,
        no_wait: bool,
        **kwargs: Any,
    ) -> Any:
        session.keystore = account
        session.passphrase = PassphraseSource(
            file=passphrase_file,
            descriptor=passphrase_fd,
            command=passphrase_cmd,
            may_ask=not settings().no_input,
        )
        session.wait = not no_wait
        return command(*args, session=session, **kwargs)

    return wrapped


async def send(
    session: Session,
    schema: str,
    call: Call,
    preview: Sequence[str],
    extra: Mapping[str, Any] | None = None,
    *,
    facts: Callable[[TxReceipt], Mapping[str, Any]] | None = None,
) -> TxReceipt | None:
    """Preview a call in words, ask, send it, print its transaction id at once, then its result.

    Args:
        session: open session.
        schema: name and version of the JSON result.
        call: what to send.
        preview: what it does, line by line.
        extra: more fields of the JSON result.
        facts: fields of the JSON result that are known once the call is mined.

    Returns:
        The mined result; None after --dry-run or with --no-wait.

    Raises:
        ContractError: the contract refuses; nothing was sent.
        TransactionFailedError: mined and reverted.
    """
    sender = session.sender()
    prepared = await sender.prepare(call)
    if not confirm([*preview, *_transaction_words(prepared)]):
        return None
    await session.contracts.client.broadcast(prepared.raw)
    tx = "0x" + prepared.tx_hash.hex()
    say(f"sent {tx}")
    data: dict[str, Any] = {**(extra or {}), "tx": tx, "from": checksum_address(sender.address)}
    if not session.wait:
        emit(schema, {**data, "mined": False}, text=tx)
        return None
    result = await sender.outcome(prepared, timeout_s=settings().timeout)
    data |= {
        "mined": True,
        "block": result.block_number,
        "gas_used": result.gas_used,
        "fee": {"amount": f"{result.fee_wei / COIN:.18f}", "unit": "coin"},
    }
    data |= facts(result) if facts else {}
    emit(schema, data, text=f"done in block {result.block_number}, gas {result.gas_used}: {tx}")
    return result


def _transaction_words(prepared: PreparedTransaction) -> list[str]:
    """The call and its fee, for a preview."""
    fee_wei = prepared.gas_limit * prepared.fees.max_fee_wei
    return [
        f"call {prepared.call.label.partition(NEWLINE)[0][:200]}",
        f"fee at most {fee_wei / COIN:.9f} coins of the chain",
    ]


async def allow(
    session: Session, spender: bytes, amount_wei: int, who: str, *, why: str = ""
) -> bool:
    """Let a contract take tokens, unless it may already; previewed like any other call.

    Args:
        session: open session.
        spender: the contract, 20 bytes.
        amount_wei: tokens.
        who: who takes them, e.g. "the hub".
        why: what for, if the command's name does not say it.

    Returns:
        Whether the next call can be sent: False after --dry-run.
    """
    token = session.contracts.token
    if await token.allowance(session.account, spender) >= amount_wei:
        return True
    preview = [f"let {who} take {format_qnet(amount_wei)} QNET", *filter(None, [why])]
    await send(session, "qnet.stake.approve/1", token.approve(spender, amount_wei), preview)
    return not settings().dry_run


async def require_tokens(session: Session, amount_wei: int, *, why: str = "") -> None:
    """Check that the account holds enough tokens.

    Args:
        session: open session.
        amount_wei: tokens.
        why: what for, if the command's name does not say it.

    Raises:
        StakeMissingError: it does not.
    """
    held = await session.contracts.token.balance_of(session.account)
    if held < amount_wei:
        raise StakeMissingError(
            f"{format_qnet(amount_wei)} QNET wanted, {format_qnet(held)} there",
            why=why,
            try_=("qnet wallet balance",),
        )


def run(session: Session, work: Callable[[], Awaitable[Any]]) -> Any:
    """Open the chain, run one coroutine, close it."""

    async def inside() -> Any:
        async with session.open():
            return await work()

    return asyncio.run(inside())


def amount(wei: int) -> dict[str, str]:
    """An amount in a JSON result."""
    return {"amount": format_qnet(wei), "unit": "QNET"}


def stamp(unix_s: int) -> str:
    """A time as RFC 3339 in UTC; "" for 0."""
    if not unix_s:
        return ""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
