"""Claims of relays: verified, written down, answered; and shown to the other members.

Source: docs/spec/payments.md, QN-PAY-051.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from ledger.domain.issuing import Why
from ledger.errors import IssuingRefusedError, NotReadyError, OverloadedError, PeerError
from ledger.service.payments.exchange import FETCH_NAMES, Item, Showing, What
from ledger.service.payments.facts import IssuingFacts, failing
from ledger.storage.repositories import chunked
from qnet.crypto.errors import HashChainError
from qnet.crypto.hash_chain import verify as verify_preimage
from qnet.errors import ChainRecoverableError, CryptoError, DecodeError
from qnet.messages.claims import Claims, SpentToken
from qnet.messages.instruments import TOKEN_CLASS
from qnet.messages.settlement import TREE_DEPTH

WORK_MAX: Final = 16
"""Claims under examination at one time."""
BOGUS_MAX: Final = 64
"""A member that shows more invalid claims in one pull is not asked further in it."""
MESSAGES_MAX: Final = 4096
"""Claims kept of one relay in an epoch, with up to 512 tokens each."""
UNKNOWN: Final = (0, b"", False)
"""What is known of a token that nobody has shown."""
UNKNOWN_MAX: Final = 4096
"""A proposal that rests on more claims we have never seen is not examined."""

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
            if await self._has_news(claims):
                await self._check_tokens(claims)
                await self._store(claims, in_time=True)
        finally:
            self._working -= 1
        async with facts.member.work() as rows:
            return await rows.payment_claims.taken(claims.epoch, claims.relay)

    async def pull(self, epoch: int) -> None:
        """Fetch the claims of others that tell us something new."""
        async with asyncio.TaskGroup() as group:
            for peer in self._showing.others:
                group.create_task(self._pull_from(peer, epoch))

    async def fetch(self, epoch: int, names: Sequence[bytes]) -> None:
        """Fetch certain claims, from whoever has them, as far as we lack them.

        Raises:
            NotReadyError: we lack too many.
        """
        async with self._facts.member.work() as rows:
            known = await rows.payment_claims.some(names)
        missing = [name for name in names if name not in known]
        if len(missing) > UNKNOWN_MAX:
            raise NotReadyError(f"{len(missing)} claims are not known here")
        async with asyncio.TaskGroup() as group:
            for peer in self._showing.others if missing else ():
                group.create_task(self._fetch_from(peer, epoch, missing))

    async def _fetch_from(self, peer: int, epoch: int, names: Sequence[bytes]) -> None:
        try:
            for part in chunked(names, FETCH_NAMES):
                for item in await self._showing.fetch(peer, What.CLAIMS, part):
                    async with self._facts.member.work() as rows:
                        known = await rows.payment_claims.some([item.name])
                    if not known:
                        await self._adopt(peer, epoch, item)
        except (PeerError, DecodeError, NotReadyError, ChainRecoverableError) as error:
            _log.debug("claims not fetched", member=peer, why=error.why or error.message)

    async def _store(self, claims: Claims, *, in_time: bool) -> None:
        name = claims.digest(self._facts.domain)
        async with self._facts.member.work() as rows:
            await rows.payment_claims.add(name, claims, in_time=in_time)

    # ---- checks ------------------------------------------------------------------------------

    async def _check_signer(self, claims: Claims) -> None:
        """A relay signs with a receipt key that it had in the epoch, or has now."""
        reader, facts = self._facts.member.reader, self._facts
        if not 1 <= claims.relay < 1 << TREE_DEPTH:
            raise IssuingRefusedError(Why.SIGNATURE)
        current = facts.clock.rewards.epoch_at(facts.member.now())
        length = facts.clock.terms.issuance_epochs
        first = claims.epoch * length
        for epoch in (current, *range(first, min(current, first + length))):
            key = await reader.receipt_key(claims.relay, epoch)
            try:
                claims.verify(facts.domain, key or b"")
            except CryptoError:
                continue
            return
        raise IssuingRefusedError(Why.SIGNATURE)

    async def _has_news(self, claims: Claims) -> bool:
        """Whether a token is new to us, or spent deeper than we know.

        Raises:
            OverloadedError: the relay has sent more than we keep.
        """
        async with self._facts.member.work() as rows:
            known = await rows.payment_claims.depths(
                claims.epoch, claims.relay, [token.token_id for token in claims.tokens]
            )
            stored = await rows.payment_claims.messages(claims.epoch, claims.relay)
        depths = ((token.unit.k, known.get(token.token_id, UNKNOWN)) for token in claims.tokens)
        news = any(deepest < k or not claimed for k, (deepest, _, claimed) in depths)
        if news and stored >= MESSAGES_MAX:
            self.turned_away += 1
            raise OverloadedError("no more claims of this relay are kept for this epoch")
        return news

    async def _check_tokens(self, claims: Claims) -> None:
        """All of them, for what is stored has to convince every other member."""
        facts = self._facts
        public = await facts.keys.public(claims.epoch)
        if public is None:
            raise NotReadyError(f"the keys of issuance epoch {claims.epoch} are not known here")
        place, key = facts.place, public.keys[TOKEN_CLASS]
        signed = [
            (place.token(claims.epoch, claims.relay, token.token_id), token.signature)
            for token in claims.tokens
        ]
        async with self._cpu:
            await asyncio.to_thread(check_preimages, claims.tokens)
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
                        bogus += not await self._adopt(peer, epoch, item, only_news=True)
                if not names or bogus > BOGUS_MAX:
                    return
        except (PeerError, DecodeError, NotReadyError, ChainRecoverableError) as error:
            _log.debug("claims not pulled", member=peer, why=error.why or error.message)

    async def _adopt(self, peer: int, epoch: int, item: Item, *, only_news: bool = False) -> bool:
        """Store claims that another member took, after checking all of them."""
        try:
            claims = read_claims(item, epoch, self._facts.domain)
            await self._check_signer(claims)
            if not only_news or await self._has_news(claims):
                await self._check_tokens(claims)
                await self._store(claims, in_time=False)
        except (DecodeError, IssuingRefusedError, OverloadedError) as error:
            _log.warning("a pulled claim is not valid", member=peer, why=error.why)
            return False
        return True

    async def of(self, epoch: int, names: Sequence[bytes]) -> list[Claims]:
        """Verified claims of an epoch.

        Raises:
            NotReadyError: we lack some of them.
        """
        async with self._facts.member.work() as rows:
            found = await rows.payment_claims.some(names)
        claims = [Claims.decode(wire) for wire in found.values()]
        if len(claims) < len(names) or any(each.epoch != epoch for each in claims):
            raise NotReadyError("some of the claims are not known here")
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


def read_claims(item: Item, epoch: int, domain: bytes) -> Claims:
    """The claims of an epoch that a member shows.

    Raises:
        DecodeError: malformed, or others than they are said to be.
    """
    claims = Claims.decode(item.wire)
    if claims.epoch != epoch or claims.digest(domain) != item.name:
        raise DecodeError("pulled claims under another name")
    return claims
