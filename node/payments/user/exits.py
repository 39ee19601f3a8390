"""The way out without the committee: instruments, undelivered purchases and the channel, on chain.

Each step is looked up on the chain before it is taken, and an instrument is marked before its exit
is sent, so that a run that was interrupted goes on. What waits for a deadline is told, and a later
run ends it.

Source: docs/spec/payments.md, QN-PAY-020, 024, 060 and 061.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from node.payments.user.states import Instrument, RequestKind, RequestState, State
from node.payments.user.wallet import Wallet
from qnet.messages.claims import SpentToken
from qnet.messages.instruments import TOKEN_UNITS, Unit
from qnet.messages.settlement import Exit
from qnet.messages.swap import CreditInput, TokenInput
from qnet.messages.voucher import Purchase
from qnet.units import format_qnet

if TYPE_CHECKING:
    from qnet.chain.contracts import Contracts
    from qnet.chain.sender import Sender
    from qnet.chain.values import Call

OVER: Final = frozenset({"paid", "refuted", "refused", "lost", "unsure"})
"""Nothing more happens to what is in one of these states."""
EXITABLE: Final = (State.HELD, State.SPENT, State.STUCK, State.EXITING)


@dataclass(frozen=True, slots=True)
class Row:
    """What happened to one thing, for the user.

    Args:
        what: which.
        units: worth.
        state: `waits` for its challenge, `later` than now, `bond` if none is left for it, `paid`,
            `refuted`, `refused`, `lost`, or `unsure`: found from the seed, and nobody can tell what
            was spent.
        until: unix time before which nothing more happens; 0 if nothing is waited for.
        why: what the contract said when it refused.
    """

    what: str
    units: int
    state: str
    until: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class WayOut:
    """Exits of one wallet.

    Args:
        wallet: whose instruments.
        contracts: of the deployment.
        sender: the channel's account, which pays gas and bonds.
        to: who is paid, 20 bytes.
    """

    wallet: Wallet
    contracts: Contracts
    sender: Sender
    to: bytes

    async def instruments(self) -> AsyncIterator[Row]:
        """Exit everything that is worth something, or go on with it; nothing is ordered then."""
        clock = await self.wallet.terms()
        self.wallet.leave()
        for request in self.wallet.store.requests(RequestState.OPEN):
            if request.kind is RequestKind.SWAP:
                until = self.wallet.give_up(request)
                if until:
                    yield Row(f"swap of epoch {request.epoch}", 0, "later", int(until))
        for entry in self.wallet.store.instruments(*EXITABLE):
            elapsed = await self.contracts.channels.elapsed_since(entry.slot.epoch)
            row = _what(entry)
            if not entry.units:
                continue
            if entry.state is State.EXITING:
                yield await self._go_on(entry, row, is_late=elapsed >= clock.terms.exit_s)
            elif elapsed >= clock.terms.exit_s:
                yield Row(row, entry.units, "lost")
            elif entry.is_token and elapsed < clock.terms.token_s:
                end = clock.bounds(entry.slot.epoch)[1]
                yield Row(row, entry.units, "later", end + clock.terms.token_s)
            else:
                self.wallet.store.change(entry.slot, State.EXITING)
                yield await self._go_on(entry, row)
        for entry in self.wallet.store.instruments(State.UNSURE):
            yield Row(_what(entry), entry.units, "unsure")

    async def disputes(self) -> AsyncIterator[Row]:
        """Dispute what was paid for and never delivered, or go on with it, oldest first."""
        wallet, clock = self.wallet, await self.wallet.terms()
        channels = self.contracts.channels
        state = await channels.channel_of(wallet.account)
        for request in wallet.store.requests(RequestState.OPEN):
            purchase = Purchase.decode(request.body) if request.kind is RequestKind.BUY else None
            if purchase is None or purchase.voucher.cumulative_wei > state.collected_wei:
                continue
            if await channels.elapsed_since(request.epoch) < clock.terms.finish_s:
                continue
            yield await self._dispute(purchase, f"purchase {request.nonce}")

    async def _go_on(self, entry: Instrument, what: str, *, is_late: bool = False) -> Row:
        from qnet.chain.errors import ContractError
        from qnet.chain.redeemer import Stage

        place, store = self.wallet.around.place, self.wallet.store
        terms = (await self.wallet.terms()).terms
        message = self.wallet.seed.message(entry.slot, place, relay=entry.relay)
        redeemer = self.contracts.redeemer
        found = await redeemer.exit_of(message)
        if found.stage is Stage.NONE:
            if is_late:
                return Row(what, entry.units, "lost")
            if not await self._bond():
                return Row(what, entry.units, "bond")
            try:
                await self.sender.send(await self._start(entry, message))
            except ContractError as error:  # one that the contract refuses holds no other up
                return Row(what, entry.units, "refused", why=error.name)
            found = await redeemer.exit_of(message)
        if found.stage is Stage.OPEN:
            end = (await self.wallet.terms()).bounds(entry.slot.epoch)[1]
            until = max(found.started_at_s + terms.challenge_s, end + terms.redeem_s)
            if not await self._try(redeemer.finalize_exit(message)):
                return Row(what, entry.units, "waits", until)
            found = await redeemer.exit_of(message)
        store.change(entry.slot, State.EXITED)
        return Row(what, entry.units, "paid" if found.stage is Stage.DONE else "refuted")

    async def _start(self, entry: Instrument, message: bytes) -> Call:
        wallet, redeemer = self.wallet, self.contracts.redeemer
        keys = await wallet.encoded_keys(entry.slot.epoch)
        named = wallet.maker.input_of(entry)
        signed = wallet.seed.key(entry.slot).sign(
            Exit(message, entry.k, self.to).digest(wallet.maker.domain)
        )
        if isinstance(named, CreditInput):
            return redeemer.start_credit_exit(named, self.to, signed, keys)
        left = named if not entry.k else self._spent(entry, named)
        return redeemer.start_token_exit(left, self.to, signed, keys)

    def _spent(self, entry: Instrument, named: TokenInput) -> tuple[int, int, SpentToken]:
        """A token with the highest payment that was shown."""
        unit = Unit(entry.k, self.wallet.seed.chain(entry.slot).preimage(entry.k))
        spent = SpentToken(named.top, named.refund, entry.signature, unit)
        return entry.slot.epoch, entry.relay, spent

    async def _dispute(self, purchase: Purchase, what: str) -> Row:
        from qnet.chain.redeemer import Stage

        redeemer, clock = self.contracts.redeemer, await self.wallet.terms()
        number = purchase.voucher.digest(self.wallet.maker.domain)
        found = await redeemer.dispute_of(number)
        if found.stage is Stage.NONE:
            if not await self._bond():
                return Row(what, purchase.units, "bond")
            await self.sender.send(redeemer.dispute_issuance(purchase))
            found = await redeemer.dispute_of(number)
        if found.stage is Stage.OPEN:
            end = clock.bounds(purchase.voucher.epoch)[1]
            terms = clock.terms
            until = max(found.started_at_s + terms.deliver_s, end + terms.redeem_s)
            if not await self._try(redeemer.refund_issuance(number)):
                return Row(what, purchase.units, "waits", until)
            found = await redeemer.dispute_of(number)
        return Row(what, purchase.units, "paid" if found.stage is Stage.DONE else "refuted")

    async def _try(self, call: Call) -> bool:
        """Send a call that a contract takes only from a deadline on; whether it took it."""
        from qnet.chain.errors import ContractError

        try:
            await self.sender.send(call)
        except ContractError as error:
            if error.name != "TooEarly":
                raise
            return False
        return True

    async def _bond(self) -> bool:
        """Have one bond ready, and let the contract take it; False if the account holds less."""
        terms = (await self.wallet.terms()).terms
        token, spender = self.contracts.token, self.contracts.redeemer.address
        held_wei = await token.balance_of(self.sender.address)
        if held_wei < terms.bond_wei:
            return False
        if await token.allowance(self.sender.address, spender) < terms.bond_wei:
            await self.sender.send(token.approve(spender, terms.bond_wei))
        return True


async def close_channel(contracts: Contracts, sender: Sender, closing_s: int) -> Row:
    """Begin to close a channel, or pay out what it held.

    Args:
        contracts: of the deployment.
        sender: the channel's account.
        closing_s: between the two.
    """
    from qnet.chain.errors import ContractError

    channels = contracts.channels
    state = await channels.channel_of(sender.address)
    left_wei = state.deposit_wei - state.collected_wei
    what = f"channel with {format_qnet(left_wei)} QNET"
    if not state.is_open and not left_wei:
        return Row(what, 0, "paid")
    if state.is_open and not state.closing_since_s:
        await sender.send(channels.start_close())
        state = await channels.channel_of(sender.address)
    until = state.closing_since_s + closing_s
    try:
        await sender.send(channels.finalize_close(sender.address))
    except ContractError as error:
        if error.name != "NotClosable":
            raise
        return Row(what, 0, "waits", until)
    return Row(what, 0, "paid")


def rows_to_json(rows: list[Row]) -> list[dict[str, Any]]:
    """Rows as the command line shows them."""
    return [
        {
            "what": row.what,
            "units": row.units,
            "state": row.state,
            "until": row.until,
            "why": row.why,
        }
        for row in rows
    ]


def _what(entry: Instrument) -> str:
    if entry.is_token:
        return f"token for {entry.relay} ({entry.k} of {TOKEN_UNITS} spent)"
    return f"credit of {entry.units} of epoch {entry.slot.epoch}"
