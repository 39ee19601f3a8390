"""Keys of issuance epochs: generated, agreed on, registered on chain; and our shares of them.

`ledger.app` wires it, once the agreements exist:

    keys = await make_issuance_keys(member, peers, quorum)
    duties.append(keys)             # run() goes on for ever

and the routes hand calls of `gathering.BUNDLES_PATH` to `keys.rounds.answer(sender, body)`. The
handlers of both kinds of topics are named by `make_issuance_keys`.

Source: docs/spec/payments.md, QN-PAY-001 to 006.
"""

import asyncio
from typing import Final

import structlog

from ledger.domain.keygen import EpochKeys, Timetable
from ledger.domain.keygen_attempt import Made
from ledger.domain.keygen_sealing import Safe
from ledger.domain.votes import Decision, Kind, Topic
from ledger.errors import BadDataError, CommitteeSizeError, NotReadyError
from ledger.service.member import Member
from ledger.service.payments.courses import Courses, Roster
from ledger.service.payments.gathering import Gathering
from ledger.service.payments.rounds import Rounds
from ledger.service.peers import Peers
from ledger.service.quorum import Quorum
from ledger.storage.payment_keys import KeysRow
from qnet.chain.payments import PremiumChannels
from qnet.crypto.scalars import SCALAR_BYTES, SecretScalar, decode_scalar, encode_scalar
from qnet.errors import ChainRecoverableError, RemoteProtocolError
from qnet.issuance import IssuanceClock
from qnet.messages.instruments import KEYS, Place
from qnet.messages.settlement import keys_digest

POLL_S: Final = 0.5
SHARES: Final = "shares"

_log = structlog.get_logger(__name__)


class KeyRegistry:
    """The key hashes on chain.

    Args:
        channels: the contract.
    """

    def __init__(self, channels: PremiumChannels) -> None:
        self._channels = channels

    @property
    def place(self) -> Place:
        """Where the keys are valid."""
        return self._channels.place

    @property
    def domain(self) -> bytes:
        """EIP-712 domain of what is signed for it, 32 bytes."""
        return self._channels.domain

    async def hash_of(self, epoch: int) -> bytes | None:
        """Hash of an epoch's keys at the newest final block, 32 bytes; None if there is none."""
        state = await self._channels.issuance_of(epoch, "finalized")
        return None if state is None else state.keys_hash

    def call(self, row: KeysRow) -> tuple[bytes, bytes]:
        """(contract, call data) that registers keys."""
        call = self._channels.register_keys(row.epoch, row.keys_hash, row.bitmap, row.signatures)
        return self._channels.address, call.data


class IssuanceKeys:
    """The keys of issuance epochs; implements `TopicHandler` for `Kind.KEYS`.

    Args:
        member: ours.
        quorum: our agreements.
        rounds: the generation.
        registry: what is on chain.
        clock: calendar of issuance epochs.
        safe: for our shares.
    """

    def __init__(
        self,
        member: Member,
        quorum: Quorum,
        rounds: Rounds,
        *,
        registry: KeyRegistry,
        clock: IssuanceClock,
        safe: Safe,
    ) -> None:
        self.rounds = rounds
        self._member = member
        self._quorum = quorum
        self._registry = registry
        self._clock = clock
        self._safe = safe
        self._made: dict[int, Made] = {}
        self._public: dict[int, EpochKeys] = {}
        self._shares: dict[int, tuple[SecretScalar, ...]] = {}
        self._settled: set[int] = set()
        self._settling = asyncio.Lock()

    # ---- what issuing needs ------------------------------------------------------------------

    async def public(self, epoch: int) -> EpochKeys | None:
        """Keys of an epoch; None until they are agreed and their hash is final on chain."""
        if epoch not in self._public:
            async with self._member.work() as rows:
                row = await rows.payment_keys.get(epoch)
            if row is None or not row.registered:
                return None
            self._public[epoch] = await asyncio.to_thread(EpochKeys.decode, row.document)
        return self._public[epoch]

    async def shares(self, epoch: int) -> tuple[SecretScalar, ...] | None:
        """Our shares of an epoch's eight secrets, CR_0 first.

        None if its keys are not registered, if we have none, or if they were erased. `erase`
        overwrites what is returned here, too.
        """
        if await self.public(epoch) is None:
            return None
        if epoch not in self._shares:
            async with self._member.work() as rows:
                sealed = await rows.payment_keys.secret(epoch, SHARES)
            if sealed is None:
                return None
            self._shares[epoch] = _decode_shares(self._safe.open(epoch, SHARES, sealed))
        return self._shares[epoch]

    async def erase(self, epoch: int) -> None:
        """Overwrite and delete our shares of an epoch."""
        async with self._member.work() as rows:
            await rows.payment_keys.erase_secrets(epoch)
        for share in self._shares.pop(epoch, ()):
            share.erase()

    # ---- duty --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Make the keys of each next epoch, for ever; a chain that does not answer delays."""
        while True:
            self.rounds.changed.clear()
            try:
                await self.step()
            except ChainRecoverableError as error:
                _log.warning("chain does not answer", error=error.message, why=error.why)
            except NotReadyError as error:
                _log.debug("not ready", why=error.message)
            try:
                async with asyncio.timeout(POLL_S):
                    await self.rounds.changed.wait()
            except TimeoutError:
                continue

    async def step(self) -> None:
        """Look once at the next epoch, and at those whose keys are not settled."""
        now = self._member.now()
        kept = self._clock.kept(now)
        self._forget(kept.start)
        for epoch in range(kept.start, kept.stop + 1):
            if epoch <= self._clock.epoch_at(now) + 1 and epoch not in self._settled:
                await self._look_at(epoch, now)

    async def _look_at(self, epoch: int, now: float) -> None:
        """Go on with the keys of an epoch: make them, agree on them, see them on chain."""
        async with self._member.work() as rows:
            row = await rows.payment_keys.get(epoch)
        has_begun = now >= self.rounds.times.ends_at(epoch)
        if row is not None or has_begun:
            found = await self._registry.hash_of(epoch)
            if found is None and has_begun:
                await self._miss(epoch)
                return
            if row is not None and found is not None:
                await self._confirm(row, found)
                return
        if row is None:
            made = await self._make(epoch)
            if made is None:
                return
            self._made[epoch] = made
        start = self.rounds.times.keys_start_at(epoch)
        await self._quorum.begin(Topic(Kind.KEYS, epoch), self.rounds.views(start, epoch))

    async def _make(self, epoch: int) -> Made | None:
        try:
            return await self.rounds.advance(epoch)
        except CommitteeSizeError as error:
            self._settled.add(epoch)
            _log.warning("no premium payments", epoch=epoch, error=error.message, why=error.why)
            return None

    async def _confirm(self, row: KeysRow, found: bytes) -> None:
        """The hash of an epoch's keys is final on chain."""
        if found == row.keys_hash:
            async with self._member.work() as rows:
                await rows.payment_keys.mark_registered(row.epoch)
            _log.info("issuance keys", epoch=row.epoch, hash=found.hex())
        else:
            _log.error("other keys than ours are on chain", epoch=row.epoch)
        self._settled.add(row.epoch)
        self._quorum.drop(Topic(Kind.KEYS, row.epoch))

    async def _miss(self, epoch: int) -> None:
        """An epoch has begun without keys on chain, once its beginning is final."""
        block = await self._member.reader.finalized()
        if block.timestamp < self.rounds.times.ends_at(epoch):
            return
        _log.warning("an issuance epoch has no keys", epoch=epoch)
        async with self._settling:  # shares that are being stored are not erased under the pen
            self._settled.add(epoch)
            self._made.pop(epoch, None)
            self.rounds.give_up(epoch)
            self._quorum.drop(Topic(Kind.KEYS, epoch))
            await self.erase(epoch)

    def _forget(self, before: int) -> None:
        """Forget epochs whose answers nobody keeps any more."""
        self._settled = {epoch for epoch in self._settled if epoch >= before}
        self._public = {epoch: keys for epoch, keys in self._public.items() if epoch >= before}

    # ---- agreement ---------------------------------------------------------------------------

    async def build(self, topic: Topic) -> tuple[bytes, bytes]:
        """Propose the keys that the rounds gave.

        Raises:
            NotReadyError: they have not given any here yet.
        """
        keys = self._own(topic).keys
        return self._digest(keys), keys.encode()

    async def check(self, topic: Topic, digest: bytes, document: bytes, *, certified: bool) -> None:
        """Refuse keys that the rounds did not give, whoever signed them.

        The digest stands for the public keys only; the rest of the document must be ours, too.

        Raises:
            NotReadyError: the rounds have not given any here yet.
            BadDataError: they gave others.
        """
        del certified
        keys = self._own(topic).keys
        if document != keys.encode() or digest != self._digest(keys):
            raise BadDataError("the rounds of the key generation gave other keys")

    async def decided(self, topic: Topic, decision: Decision) -> None:
        """Store keys and shares, erase what they were made of, note the registration.

        Raises:
            NotReadyError: the rounds have not given any here yet, or the epoch was given up.
            RemoteProtocolError: they gave others.
        """
        async with self._settling:
            await self._settle(topic, decision)

    async def _settle(self, topic: Topic, decision: Decision) -> None:
        epoch = topic.period
        async with self._member.work() as rows:
            if await rows.payment_keys.get(epoch) is not None:
                return
        made = self._own(topic)
        if decision.document != made.keys.encode() or decision.digest != self._digest(made.keys):
            raise RemoteProtocolError("decided keys are not those the rounds gave")
        row = KeysRow(
            epoch=epoch,
            keys_hash=made.keys.hash(self._registry.place),
            document=decision.document,
            bitmap=decision.bitmap,
            signatures=decision.signatures,
            registered=False,
        )
        await self._store(row, made)
        if made.shares is not None:
            self._shares[epoch] = made.shares
        self._made.pop(epoch, None)
        self.rounds.finish(epoch)
        _log.info("issuance keys are agreed", epoch=epoch, ours=made.shares is not None)

    async def _store(self, row: KeysRow, made: Made) -> None:
        epoch, now = row.epoch, self._member.now()
        target, call = self._registry.call(row)
        oldest = self._clock.kept(now).start - 1
        async with self._member.work() as rows:
            await rows.payment_keys.add(row)
            if made.shares is not None:
                sealed = self._safe.seal(epoch, SHARES, _encode_shares(made.shares))
                await rows.payment_keys.claim_secret(epoch, SHARES, sealed)
            await rows.payment_keys.erase_secrets(epoch, keep=SHARES)
            await rows.outbox.add(
                "keys",
                epoch,
                target=target,
                call=call,
                label=f"register the keys of issuance epoch {epoch}",
                not_before=now + self._delay(epoch),
            )
            await rows.payment_keys.forget(oldest)
            await rows.agreements.trim(Kind.KEYS_ROUND, oldest)

    def _delay(self, epoch: int) -> float:
        """Members register one after the other, as in QN-AGR-041."""
        distance = (self._member.index - epoch) % self._member.size
        return float(distance * self._member.parameters.agreement_timeout_s)

    def _own(self, topic: Topic) -> Made:
        made = self._made.get(topic.period)
        if made is None:
            raise NotReadyError(f"the keys of issuance epoch {topic.period} are not made here")
        return made

    def _digest(self, keys: EpochKeys) -> bytes:
        keys_hash = keys.hash(self._registry.place)
        return keys_digest(self._registry.domain, keys.epoch, keys_hash)


def _encode_shares(shares: tuple[SecretScalar, ...]) -> bytes:
    return b"".join(encode_scalar(share.reveal()) for share in shares)


def _decode_shares(data: bytes) -> tuple[SecretScalar, ...]:
    starts = range(0, KEYS * SCALAR_BYTES, SCALAR_BYTES)
    return tuple(SecretScalar(decode_scalar(data[at : at + SCALAR_BYTES])) for at in starts)


async def make_issuance_keys(member: Member, peers: Peers, quorum: Quorum) -> IssuanceKeys:
    """Wire the key generation of a member together, and name its handlers to the agreements.

    Raises:
        ChainError: the chain does not answer.
    """
    channels = member.reader.contracts.channels
    clock = IssuanceClock(member.clock, await channels.terms())
    safe = Safe(member.key, domain=channels.domain, random=member.random)
    roster = Roster(member, channels.place)
    courses = Courses(member, roster=roster, times=Timetable(clock), safe=safe)
    gathering = Gathering(member, peers, courses.running)
    rounds = Rounds(member, quorum, courses=courses, gathering=gathering)
    registry = KeyRegistry(channels)
    keys = IssuanceKeys(member, quorum, rounds, registry=registry, clock=clock, safe=safe)
    quorum.handle(Kind.KEYS_ROUND, rounds)
    quorum.handle(Kind.KEYS, keys)
    return keys
