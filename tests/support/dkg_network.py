"""A committee without sockets: every member's machine, a public log and private deliveries.

Faulty members are honest machines whose messages a `Behaviour` replaces on their way out.
"""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass

from qnet.crypto.dkg import Blame, Participant
from qnet.crypto.dkg_messages import Message, PrivateShare, Session, decode
from qnet.crypto.errors import PointError
from qnet.errors import RemoteProtocolError


class Behaviour:
    """Honest; faulty members override what they do differently."""

    def dealings(self, member: Participant) -> list[bytes]:
        dealing = member.dealing()
        return [] if dealing is None else [dealing.encode()]

    def shares(self, member: Participant) -> list[PrivateShare]:
        return list(member.private_shares())

    def complaints(self, member: Participant, messages: list[Message]) -> list[bytes]:
        return [message.encode() for message in messages]

    def answers(self, member: Participant, messages: list[Message]) -> list[bytes]:
        return [message.encode() for message in messages]


HONEST = Behaviour()


@dataclass
class Attempt:
    session: Session
    members: dict[int, Participant]

    def honest(self, behaviours):
        return [m for index, m in self.members.items() if index not in behaviours]


def deliver(log, members, order):
    """Hand the whole log to every member, to each in another order; refused messages are void."""
    decoded = []
    for data in log:
        try:
            decoded.append(decode(data))
        except (RemoteProtocolError, PointError):
            continue
    for member in members.values():
        order.shuffle(decoded)
        for message in decoded:
            try:
                member.receive(message)
            except RemoteProtocolError:
                continue


def run_attempt(session, behaviours, order):
    members = {
        index: Participant(session, index, secrets.token_bytes)
        for index in session.committee.indices
    }

    def of(index):
        return behaviours.get(index, HONEST)

    dealers = {index: members[index] for index in session.dealers}
    log = [data for index, member in dealers.items() for data in of(index).dealings(member)]
    for index, member in dealers.items():
        for private in of(index).shares(member):
            members[private.receiver].receive_share(private)
    deliver(log, members, order)
    for collect in ("complaints", "answers"):
        log = []
        for index, member in members.items():
            log += getattr(of(index), collect)(member, list(member.close_round()))
        deliver(log, members, order)
    for member in members.values():
        assert member.close_round() == ()
    return Attempt(session, members)


def run(committee, behaviours, seed=0):
    """Repeat until a key is made; returns all attempts, the last one has the key."""
    order = random.Random(seed)
    session = Session.first(secrets.token_bytes(32), committee)
    attempts = []
    while True:
        attempt = run_attempt(session, behaviours, order)
        attempts.append(attempt)
        result = attempt.honest(behaviours)[0].result
        if not isinstance(result, Blame):
            return attempts
        if result.next_session is None:
            return attempts
        session = result.next_session
