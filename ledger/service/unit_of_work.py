"""One transaction of the database with all repositories on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.storage.challenges import Challenges
from ledger.storage.payment_claims import PaymentClaims
from ledger.storage.payment_keys import PaymentKeys
from ledger.storage.payment_matters import PaymentMatters
from ledger.storage.payment_requests import PaymentRequests
from ledger.storage.repositories import (
    Agreements,
    Audits,
    Descriptors,
    Facts,
    ParameterSets,
    Receipts,
)
from ledger.storage.results import Consensuses, Outbox, Reports
from ledger.storage.trust import Changes, Evidence


class Work:
    """The repositories of one transaction."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.facts = Facts(connection)
        self.descriptors = Descriptors(connection)
        self.receipts = Receipts(connection)
        self.audits = Audits(connection)
        self.agreements = Agreements(connection)
        self.parameters = ParameterSets(connection)
        self.consensuses = Consensuses(connection)
        self.reports = Reports(connection)
        self.outbox = Outbox(connection)
        self.changes = Changes(connection)
        self.evidence = Evidence(connection)
        self.challenges = Challenges(connection)
        self.payment_keys = PaymentKeys(connection)
        self.payments = PaymentRequests(connection)
        self.payment_claims = PaymentClaims(connection)
        self.payment_matters = PaymentMatters(connection)


class UnitOfWork:
    """Opens transactions: everything in one `async with` is on disk at its end, or nothing is.

    Args:
        engine: the database.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Work]:
        """Begin a transaction; commit at the end, roll back on an error."""
        async with self._turn, self._engine.begin() as connection:
            yield Work(connection)
