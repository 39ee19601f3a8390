"""Members that make keys without I/O: every round's bundles become the record all of them get.

A faulty member is an honest one whose payload a lie replaces on its way out: by another payload,
by several (it said two things) or by none.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ledger.domain.keygen import EpochKeys, Plan
from ledger.domain.keygen_attempt import Attempt, DealingSecrets, Failed, Made, tape_bytes
from ledger.domain.keygen_bundles import Bundle, KeyRound, RoundRecord
from qnet.crypto.bls import SignedPoint, holds
from qnet.crypto.keys import DhKey, ReceiptKey
from qnet.crypto.points import G1
from qnet.crypto.scalars import SecretScalar
from qnet.crypto.threshold import combine
from qnet.messages.instruments import Place

PLACE = Place(31337, b"\x02" * 20)
POINT = G1.hash(b"something to sign", b"QNET-TEST-KEYGEN-DOMAIN")

Lie = Callable[["Member", bytes], list[bytes]]


def make_plan(size: int = 4, epoch: int = 7) -> tuple[Plan, list[ReceiptKey]]:
    keys = [ReceiptKey.generate() for _ in range(size)]
    return Plan(epoch, PLACE, tuple(key.address for key in keys)), keys


@dataclass
class Member:
    index: int
    key: ReceiptKey
    exchange: DhKey
    tapes: dict[int, bytes] = field(default_factory=dict)
    attempt: Attempt | None = None

    def secrets_of(self, plan: Plan, number: int) -> DealingSecrets:
        size = tape_bytes(plan.committee)
        return DealingSecrets(
            self.exchange, self.tapes.setdefault(number, secrets.token_bytes(size))
        )


class Generation:
    """One generation, attempt by attempt."""

    def __init__(self, size: int = 4, lies: Mapping[int, Lie] | None = None) -> None:
        self.plan, keys = make_plan(size)
        self.lies = dict(lies or {})
        self.members = [
            Member(index + 1, key, DhKey(secrets.token_bytes(32))) for index, key in enumerate(keys)
        ]
        self.announced = {member.index: member.exchange.public for member in self.members}
        self.records: list[RoundRecord] = []
        self.blamed: list[Mapping[int, str]] = []

    @property
    def honest(self) -> list[Member]:
        return [member for member in self.members if member.index not in self.lies]

    def run(self) -> dict[int, Made]:
        """Until the keys are made; what each honest member holds."""
        sessions, number = self.plan.sessions(0), 0
        while True:
            for member in self.members:
                member.attempt = Attempt(
                    self.plan,
                    number,
                    sessions,
                    index=member.index,
                    secrets=member.secrets_of(self.plan, number),
                )
            outcomes = self.run_attempt()
            first = outcomes[self.honest[0].index]
            if isinstance(first, Failed):
                assert all(other == first for other in outcomes.values())
                self.blamed.append(first.faults)
                sessions, number = first.sessions, number + 1
                continue
            assert len({made.keys.encode() for made in outcomes.values()}) == 1
            return outcomes

    def run_attempt(self):
        while self.honest[0].attempt.outcome is None:
            self.close_round()
        return {member.index: member.attempt.outcome for member in self.honest}

    def close_round(self) -> None:
        id_ = self.honest[0].attempt.id
        bundles = [
            Bundle.sign(
                member.key,
                domain=self.plan.domain,
                id_=id_,
                author=member.index,
                payload=payload,
            )
            for member in self.members
            for payload in self.payloads(member)
        ]
        record = RoundRecord.of(id_, bundles)
        record.verify(domain=self.plan.domain, roster=self.plan.roster)
        self.records.append(record)
        for member in self.members:
            member.attempt.close(RoundRecord.decode(id_, record.encode()))

    def payloads(self, member: Member) -> list[bytes]:
        attempt = member.attempt
        dealing = attempt.round is KeyRound.DEALING
        payload = attempt.deal(self.announced) if dealing else attempt.say()
        lie = self.lies.get(member.index)
        return [payload] if lie is None else lie(member, payload)


def signs(keys: EpochKeys, class_: int, shares: Mapping[int, SecretScalar]) -> bool:
    """Whether these members' shares make a signature under the key of a class."""
    partials = {index: POINT * share.reveal() for index, share in shares.items()}
    for index, partial in partials.items():
        public = keys.share_keys(class_)[index - 1]
        assert holds(public, SignedPoint(POINT, partial))
    signature = combine(partials, keys.threshold)
    return holds(keys.keys[class_], SignedPoint(POINT, signature))
