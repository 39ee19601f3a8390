"""Claims of relays: verified, written down, answered; and shown to the other members.

Source: docs/spec/payments.md, QN-PAY-051.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from ledger.domain.issuing import Why
from ledger.errors import IssuingRefusedError, NotReadyError, OverloadedError, PeerError
from ledger.service.payments.exchange import FETCH_NAMES, Item, Showing, What
from ledger.service.payments.facts import IssuingFacts, failing
from ledger.storage.repositories import chunked
from qnet.crypto.errors import HashChainError
from qnet.crypto.hash_chain import verify as verify_preimage
from qnet.errors import CryptoError, DecodeError
from qnet.messages.claims import Claims, SpentToken
from qnet.messages.instruments import TOKEN_CLASS
from qnet.messages.settlement import TREE_DEPTH

WORK_MAX: Final = 16
"""Claims under examination at one time."""
BOGUS_MAX: Final = 64
"""A member that shows more invalid claims in one pull is not asked further in it."""

_log = structlog.get_logger(__name__)


class Claiming:
    """Takes claims of relays and pulls those that other members took.

    Args:
        facts: keys, times and chain.
        showing: asks the other members.
    """

    def __init__(self, facts: IssuingFacts, showing: Showing) -> None:
        self._facts = facts
        self._showing = showing
        self._working = 0
        self._cpu = asyncio.Lock()
        self.turned_away = 0

    async def take(self, claims: Claims) -> int:
        """Take a relay's claims; everything counted is on disk before the answer leaves.

        Returns:
            How many of its tokens are known now.

        Raises:
            IssuingRefusedError: too late, not signed by the relay, or a token does not hold.
            NotReadyError: the keys of the epoch are not known here.
        """
        facts = self._facts
        if claims.epoch > facts.running or facts.elapsed(claims.epoch) >= facts.clock.terms.claim_s:
            raise IssuingRefusedError(Why.TOO_OLD)
        if self._working >= WORK_MAX:
            self.turned_away += 1
            raise OverloadedError("too many claims are under examination")
        self._working += 1
        try:
            await self._check_signer(claims)
            if news := await self._news(claims):
                await self._check_tokens(claims, news)
                await self._store(claims, in_time=True)
        finally:
            self._working -= 1
        async with facts.member.work() as rows:
            return await rows.payment_claims.taken(claims.epoch, claims.relay)

    async def pull(self, epoch: int) -> None:
        """Fetch the claims that others took and we lack."""
        await asyncio.gather(*(self._pull_from(peer, epoch) for peer in self._showing.others))

    async def _store(self, claims: Claims, *, in_time: bool) -> None:
        name = claims.digest(self._facts.domain)
        async with self._facts.member.work() as rows:
            await rows.payment_claims.add(name, claims, in_time=in_time)

    # ---- checks ------------------------------------------------------------------------------

    async def _check_signer(self, claims: Claims) -> None:
        """The relay signs with its receipt key of the epoch's end, or the one it has now."""
        reader, facts = self._facts.member.reader, self._facts
        if not 1 <= claims.relay < 1 << TREE_DEPTH:
            raise IssuingRefusedError(Why.SIGNATURE)
        current = facts.clock.rewards.epoch_at(facts.member.now())
        last = (claims.epoch + 1) * facts.clock.terms.issuance_epochs - 1
        for epoch in {min(current, last), current}:
            key = await reader.receipt_key(claims.relay, epoch)
            try:
                claims.verify(facts.domain, key or b"")
            except CryptoError:
                continue
            return
        raise IssuingRefusedError(Why.SIGNATURE)

    async def _news(self, claims: Claims) -> list[SpentToken]:
        """Tokens that are new to us, or spent deeper than we know."""
        tokens = {token.token_id: token for token in claims.tokens}
        async with self._facts.member.work() as rows:
            known = await rows.payment_claims.depths(claims.epoch, claims.relay, tokens.keys())
        return [
            token
            for name, token in tokens.items()
            if name not in known or not known[name][2] or known[name][0] < token.unit.k
        ]

    async def _check_tokens(self, claims: Claims, tokens: Sequence[SpentToken]) -> None:
        facts = self._facts
        public = await facts.keys.public(claims.epoch)
        if public is None:
            raise NotReadyError(f"the keys of issuance epoch {claims.epoch} are not known here")
        place, key = facts.place, public.keys[TOKEN_CLASS]
        signed = [
            (place.token(claims.epoch, claims.relay, token.token_id), token.signature)
            for token in tokens
        ]
        async with self._cpu:
            await asyncio.to_thread(check_preimages, tokens)
            if await asyncio.to_thread(failing, signed, key, facts.member.random):
                raise IssuingRefusedError(Why.INSTRUMENT)

    # ---- what others took --------------------------------------------------------------------

    async def _pull_from(self, peer: int, epoch: int) -> None:
        after, bogus = 0, 0
        try:
            while True:
                after, names = await self._showing.inventory(peer, What.CLAIMS, epoch, after)
                async with self._facts.member.work() as rows:
                    known = await rows.payment_claims.some(names)
                missing = [name for name in names if name not in known]
                for part in chunked(missing, FETCH_NAMES):
                    for item in await self._showing.fetch(peer, What.CLAIMS, part):
                        bogus += not await self._adopt(peer, epoch, item)
                if not names or bogus > BOGUS_MAX:
                    return
        except (PeerError, DecodeError) as error:
            _log.debug("claims not pulled", member=peer, why=error.why or error.message)

    async def _adopt(self, peer: int, epoch: int, item: Item) -> bool:
        """Store claims that another member took, after checking all of them."""
        try:
            claims = Claims.decode(item.wire)
            await self._check_signer(claims)
            if claims.epoch == epoch and claims.digest(self._facts.domain) == item.name:
                await self._check_tokens(claims, claims.tokens)
                await self._store(claims, in_time=False)
                return True
        except (DecodeError, IssuingRefusedError) as error:
            _log.warning("a pulled claim is not valid", member=peer, why=error.why)
        return False

    async def of(self, epoch: int, names: Sequence[bytes]) -> Mapping[bytes, Claims]:
        """Verified claims of an epoch by name.

        Raises:
            NotReadyError: we lack some of them.
        """
        async with self._facts.member.work() as rows:
            found = await rows.payment_claims.some(names)
        claims = {name: Claims.decode(wire) for name, wire in found.items()}
        claims = {name: each for name, each in claims.items() if each.epoch == epoch}
        if len(claims) < len(names):
            raise NotReadyError(f"{len(names) - len(claims)} claims are not known here")
        return claims


def check_preimages(tokens: Sequence[SpentToken]) -> None:
    """Check that every token was spent as far as is said.

    Raises:
        IssuingRefusedError: a preimage is wrong.
    """
    for token in tokens:
        try:
            verify_preimage(token.top, token.unit.k, token.unit.preimage)
        except HashChainError:
            raise IssuingRefusedError(Why.INSTRUMENT) from None
