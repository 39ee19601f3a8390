"""What the desk has to know to judge a request: keys, times, and the chain at a final block."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ledger.domain.issuing import ChannelFacts, EpochFacts, InputFacts, InputState
from ledger.errors import NotReadyError
from ledger.service.member import Member
from qnet.chain.payments import PremiumChannels
from qnet.chain.redeemer import Redeemer, Stage
from qnet.crypto.bls import find_bad
from qnet.crypto.errors import PointError
from qnet.crypto.points import G1, G2
from qnet.crypto.scalars import SecretScalar
from qnet.issuance import IssuanceClock
from qnet.messages.instruments import TOKEN_CLASS, TOKEN_UNITS, Place, token_id_of
from qnet.messages.swap import Input, Swap, TokenInput
from qnet.sampling import RandomBytes

NEAR_END: Final = 35
"""The last part of an instrument's life in which it is no input any more: a day of 35."""
OPAQUE: Final = bytes(32)
"""Stands for all tokens of a relay if we cannot see which ones it redeemed."""


class PublicKeys(Protocol):
    """The public part of an epoch's keys."""

    @property
    def keys(self) -> Sequence[G2]:
        """The eight keys, CR_0 first."""
        ...

    @property
    def shares(self) -> Sequence[Sequence[G2]]:
        """For each key the public shares of the members, from index 1 on."""
        ...

    @property
    def threshold(self) -> int:
        """Partial signatures that make a signature."""
        ...

    @property
    def seats(self) -> Sequence[int]:
        """Numbers of the members that hold the shares, in order of their index from 1 on."""
        ...


class Keys(Protocol):
    """Keys of issuance epochs, and our shares of them."""

    async def public(self, epoch: int) -> PublicKeys | None:
        """The keys of an epoch, None before they are agreed on."""
        ...

    async def shares(self, epoch: int) -> tuple[SecretScalar, ...] | None:
        """Our share of each of its keys, None if we have none, or not any more."""
        ...

    async def erase(self, epoch: int) -> None:
        """Overwrite our shares."""
        ...


@dataclass(frozen=True, slots=True)
class ChannelView:
    """A channel at a final block.

    Args:
        facts: None if there is none.
        collected_wei: so much its vouchers were worth at least.
    """

    facts: ChannelFacts | None
    collected_wei: int


class IssuingFacts:
    """Finds facts about requests.

    Args:
        member: ours.
        keys: of all epochs that are kept.
        clock: of issuance epochs.
    """

    def __init__(self, member: Member, keys: Keys, clock: IssuanceClock) -> None:
        self.member = member
        self.keys = keys
        self.clock = clock
        self._caps: dict[int, int] = {}

    @property
    def channels(self) -> PremiumChannels:
        """The contract of the money."""
        return self.member.reader.contracts.channels

    @property
    def redeemer(self) -> Redeemer:
        """The contract of exits and disputes."""
        return self.member.reader.contracts.redeemer

    @property
    def domain(self) -> bytes:
        """EIP-712 domain of everything signed for premium payments, 32 bytes."""
        return self.channels.domain

    @property
    def place(self) -> Place:
        """Where instruments are valid."""
        return self.channels.place

    @property
    def running(self) -> int:
        """The running issuance epoch."""
        return self.clock.epoch_at(self.member.now())

    def turn(self, number: int) -> int:
        """How many members come before us in carrying out a task of this number."""
        return (self.member.index - number) % self.member.size

    def elapsed(self, epoch: int) -> float:
        """Seconds since the end of an epoch; negative before it."""
        return self.clock.elapsed(epoch, self.member.now())

    def epoch(self, number: int, *, is_open: bool, left_units: int) -> EpochFacts:
        """An epoch as the judgement sees it."""
        return EpochFacts(number, is_open, left_units, self.clock.terms.unit_wei)

    async def cap(self, epoch: int) -> int:
        """Units an epoch may issue at most.

        Raises:
            NotReadyError: its keys are not registered at a final block.
        """
        if epoch not in self._caps:
            state = await self.channels.issuance_of(epoch, "finalized")
            if state is None:
                raise NotReadyError(f"keys of issuance epoch {epoch} are not registered")
            self._caps[epoch] = state.cap
        return self._caps[epoch]

    async def channel(self, account: bytes) -> ChannelView:
        """A channel at a final block; account 20 bytes."""
        state = await self.channels.channel_of(account, "finalized")
        if not state.is_open:
            return ChannelView(None, state.collected_wei)
        facts = ChannelFacts(state.deposit_wei, closing=bool(state.closing_since_s))
        return ChannelView(facts, state.collected_wei)

    async def inputs(
        self, swap: Swap, *, at_s: float, exits_count: bool = True
    ) -> dict[bytes, InputFacts]:
        """Facts about the inputs of a swap, by message.

        Args:
            swap: as it came.
            at_s: when it was, or is, to be served; unix time.
            exits_count: whether what is exited since is refused.
        """
        place, found = self.place, {}
        wrong = await self._failing(swap.inputs)
        for entry in swap.inputs:
            message = entry.message(place)
            state = self._state_at(entry, at_s)
            if exits_count and state is InputState.TAKEN and not wrong:
                on_chain = await self.redeemer.exit_of(message, "finalized")
                if on_chain.stage is not Stage.NONE:
                    state = InputState.EXITED
            spent = await self._spent(entry) if isinstance(entry, TokenInput) else 0
            found[message] = InputFacts(message not in wrong, state, spent)
        return found

    def _state_at(self, entry: Input, at_s: float) -> InputState:
        terms, elapsed = self.clock.terms, self.clock.elapsed(entry.epoch, at_s)
        if elapsed >= terms.exit_s - terms.exit_s // NEAR_END:
            return InputState.LATE
        if isinstance(entry, TokenInput) and elapsed < terms.token_s:
            return InputState.EARLY
        return InputState.TAKEN

    async def _spent(self, entry: TokenInput) -> int:
        token = token_id_of(entry.top, entry.refund)
        async with self.member.work() as rows:
            known = await rows.payment_claims.depths(entry.epoch, entry.relay, [token, OPAQUE])
        if OPAQUE in known:
            return TOKEN_UNITS
        return known[token][0] if token in known else 0

    async def _failing(self, inputs: Iterable[Input]) -> set[bytes]:
        """Messages whose signature does not hold under the key of their epoch and class."""
        place, wrong = self.place, set[bytes]()
        groups: dict[tuple[int, int], list[tuple[bytes, bytes]]] = {}
        for entry in inputs:
            class_ = TOKEN_CLASS if isinstance(entry, TokenInput) else entry.class_
            pair = entry.message(place), entry.signature
            groups.setdefault((entry.epoch, class_), []).append(pair)
        for (epoch, class_), signed in groups.items():
            public = await self.keys.public(epoch)
            bad = range(len(signed)) if public is None else await self._bad(public, class_, signed)
            wrong.update(signed[number][0] for number in bad)
        return wrong

    async def _bad(
        self, public: PublicKeys, class_: int, signed: Sequence[tuple[bytes, bytes]]
    ) -> Iterable[int]:
        return await asyncio.to_thread(failing, signed, public.keys[class_], self.member.random)


def failing(signed: Sequence[tuple[bytes, bytes]], key: G2, random: RandomBytes) -> tuple[int, ...]:
    """Places of those (message, compressed signature) that do not hold under a key."""
    decoded: dict[int, tuple[bytes, G1]] = {}
    for number, (message, signature) in enumerate(signed):
        try:
            decoded[number] = message, G1.decode(signature)
        except PointError:
            continue
    places = list(decoded)
    bad = {places[number] for number in find_bad(decoded.values(), key, random)}
    return tuple(n for n in range(len(signed)) if n in bad or n not in decoded)
