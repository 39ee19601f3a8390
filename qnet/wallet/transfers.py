"""`qnet wallet balance` and `qnet wallet send`: what an account holds, and paying from it."""

import asyncio
from pathlib import Path
from typing import Any, Final

import rich_click as click

from qnet.address import checksum_address, parse_address
from qnet.cli.output import confirm, emit, say
from qnet.cli.settings import settings
from qnet.errors import FundsError, NotFoundError, UsageError
from qnet.units import format_qnet, parse_qnet
from qnet.wallet.accounts import Wallet
from qnet.wallet.options import chain_options, passphrase_options, wallet_of_command
from qnet.wallet.passphrase import PassphraseSource
from qnet.wallet.signer import unlock_key

QNET: Final = "QNET"
COIN: Final = "coin"
"""The chain's own coin, which pays for transactions; it has 18 decimals too."""


def _amount(wei: int, unit: str) -> dict[str, str]:
    return {"amount": format_qnet(wei), "unit": unit}


def _party(wallet: Wallet, text: str) -> tuple[bytes, str]:
    """Read an address or a name of the wallet; returns the address and the name or UNKNOWN."""
    if text.startswith("0x"):
        address = parse_address(text)
        return address, wallet.name_of(address) or "UNKNOWN"
    account = wallet.find(text)
    if not account.address:
        raise NotFoundError(f"the keystore of {text} does not tell its address")
    return account.address, account.name


@click.command()
@click.argument("party")
@chain_options
def balance(party: str, rpc: str, deployment: Path) -> None:
    """Show what PARTY (a name of this wallet, or an address) holds and whom it lets vote."""
    address, name = _party(wallet_of_command(), party)
    asyncio.run(_balance(address, name, rpc, deployment))


async def _balance(address: bytes, name: str, rpc: str, deployment: Path) -> None:
    from qnet.chain.client import ChainClient
    from qnet.chain.contracts import Contracts
    from qnet.chain.deployment import Deployment

    manifest = Deployment.load(deployment)
    async with ChainClient.connect(rpc, timeout_s=settings().timeout) as client:
        contracts = await Contracts.open(client, manifest)
        tokens = await contracts.token.balance_of(address)
        coins = await client.balance(address)
        delegate = await contracts.token.delegate_of(address)
        votes = await contracts.token.votes(address)
    data: dict[str, Any] = {
        "name": name,
        "address": checksum_address(address),
        "tokens": _amount(tokens, QNET),
        "coins": _amount(coins, COIN),
        "delegate": checksum_address(delegate) if any(delegate) else None,
        "votes": _amount(votes, QNET),
    }
    row = {
        **data,
        "tokens": f"{format_qnet(tokens)} {QNET}",
        "coins": format_qnet(coins),
        "votes": format_qnet(votes),
    }
    emit("qnet.wallet.balance/1", data, rows=[row])


@click.command()
@click.argument("to")
@click.argument("amount")
@click.option("--account", envvar="QNET_ACCOUNT", required=True, help="Who pays: name or keystore.")
@click.option("--coin", is_flag=True, help="Send the chain's coin instead of QNET.")
@click.option("--no-wait", is_flag=True, help="Print the transaction id and do not wait.")
@click.option("--final", is_flag=True, help="Wait until the payment is final, not just mined.")
@passphrase_options()
@chain_options
def send(
    to: str,
    amount: str,
    *,
    account: str,
    coin: bool,
    no_wait: bool,
    final: bool,
    passphrase: PassphraseSource,
    rpc: str,
    deployment: Path,
) -> None:
    """Pay AMOUNT QNET to TO (a name of this wallet, or an address)."""
    if no_wait and final:
        raise UsageError("give one of --no-wait and --final")
    payment = _Payment(wallet_of_command(), account, to, parse_qnet(amount), coin=coin)
    asyncio.run(payment.run(passphrase, rpc, deployment, no_wait=no_wait, final=final))


class _Payment:
    """One payment: preview, confirmation, transaction id, result."""

    def __init__(
        self, wallet: Wallet, account: str, to: str, amount_wei: int, *, coin: bool
    ) -> None:
        self._payer = wallet.find(account)
        self._to, self._to_name = _party(wallet, to)
        self._amount_wei = amount_wei
        self._unit = COIN if coin else QNET

    async def run(
        self,
        passphrase: PassphraseSource,
        rpc: str,
        deployment: Path,
        *,
        no_wait: bool,
        final: bool,
    ) -> None:
        from qnet.chain.client import ChainClient
        from qnet.chain.contracts import Contracts
        from qnet.chain.deployment import Deployment
        from qnet.chain.sender import KeySigner, Sender

        manifest = Deployment.load(deployment)
        opened = passphrase.read(what=f"passphrase of {self._payer.name}")
        signer = KeySigner(unlock_key(self._payer.keystore, opened))
        timeout_s = settings().timeout
        async with ChainClient.connect(rpc, timeout_s=timeout_s) as client:
            contracts = await Contracts.open(client, manifest)
            call = await self._call(contracts, signer.address)
            sender = Sender(client, signer)
            prepared = await sender.prepare(call)
            fee_wei = prepared.gas_limit * prepared.fees.max_fee_wei
            if not confirm(self._preview(signer.address, fee_wei)):
                return
            await client.broadcast(prepared.raw)
            tx = "0x" + prepared.tx_hash.hex()
            say(f"sent {tx}")
            data = self._result(signer.address, tx)
            if no_wait:
                emit("qnet.wallet.send/1", data | {"state": "sent"}, text=tx)
                return
            result = await sender.outcome(
                prepared, wait="final" if final else "mined", timeout_s=timeout_s
            )
        data |= {
            "state": "final" if final else "mined",
            "block": result.block_number,
            "fee": _amount(result.fee_wei, COIN),
        }
        text = (
            f"paid {format_qnet(self._amount_wei)} {self._unit} to {data['to']} "
            f"in block {result.block_number}, fee {format_qnet(result.fee_wei)} {COIN}: {tx}"
        )
        emit("qnet.wallet.send/1", data, text=text)

    async def _call(self, contracts: Any, payer: bytes) -> Any:
        """Build the transfer after checking that the payer has the amount."""
        from qnet.chain.values import Call

        if self._unit == COIN:
            return Call(self._to, value_wei=self._amount_wei, label="transfer")
        held_wei = await contracts.token.balance_of(payer)
        if held_wei < self._amount_wei:
            raise FundsError(
                f"{self._payer.name} holds {format_qnet(held_wei)} {QNET}",
                why=f"{format_qnet(self._amount_wei)} are to be sent",
            )
        return contracts.token.transfer(self._to, self._amount_wei)

    def _preview(self, payer: bytes, fee_wei: int) -> list[str]:
        total = format_qnet(self._amount_wei + (fee_wei if self._unit == COIN else 0))
        extra = "" if self._unit == COIN else f" and at most {format_qnet(fee_wei)} {COIN}"
        return [
            f"send   {format_qnet(self._amount_wei)} {self._unit}",
            f"from   {checksum_address(payer)} ({self._payer.name})",
            f"to     {checksum_address(self._to)} ({self._to_name})",
            f"fee    at most {format_qnet(fee_wei)} {COIN}",
            f"total  {total} {self._unit}{extra}",
            "undo   impossible once it is mined",
        ]

    def _result(self, payer: bytes, tx: str) -> dict[str, Any]:
        return {
            "tx": tx,
            "from": checksum_address(payer),
            "to": checksum_address(self._to),
            "to_name": self._to_name,
            "value": _amount(self._amount_wei, self._unit),
        }
