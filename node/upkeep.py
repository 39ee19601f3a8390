"""What a node does by the clock: key phases, descriptors, consensus, service keys.

Each loop runs for ever in the node's task group; failures of the committee are retried, anything
else takes the node down.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from node.circuit.keys.phase import PhaseKeyring
from node.directory.census import ClientCensus
from node.directory.consensus import next_refresh_at
from node.directory.descriptor import (
    NodeProfile,
    OnlineIdentity,
    build_descriptor,
    next_publication,
)
from node.errors import LedgerUnavailableError
from node.io.ledger_client import LedgerClient
from node.keys import NodeKeys, ServiceKeys, save_service
from node.view import NetworkView
from qnet.epochs import phase_at, phase_bounds
from qnet.errors import CryptoError, QnetError
from qnet.messages.descriptor import Role
from qnet.parameters import NetworkParameters

RETRY_S = 1.0
KEY_CHECK_S = 3600.0

_log = structlog.get_logger(__name__)


def phases_ahead(parameters: NetworkParameters) -> int:
    """Onion keys to make in advance: enough for the consensus after the next one."""
    span = 3 * parameters.consensus_interval_s + parameters.descriptor_lead_s
    return span // parameters.key_phase_s + 2


@dataclass(slots=True)
class Upkeep:
    """The periodic work of one node.

    Attributes:
        home: The node's folder.
        keys: Long-lived keys; replaced when service keys rotate.
        profile: What all descriptors share.
        keyring: Onion keys.
        view: The network.
        ledger: The committee.
        census: Counts the links of clients.
        on_keys: Called with new service keys.
        on_unknown_signers: Called when a consensus is not signed by the committee known.
        now: Clock in unix seconds.
        published: Period of the last descriptor a member took.
        problem: Why the committee could not be used, for status; empty when it could.
    """

    home: Path
    keys: NodeKeys
    profile: NodeProfile
    keyring: PhaseKeyring
    view: NetworkView
    ledger: LedgerClient
    census: ClientCensus
    on_keys: Callable[[ServiceKeys], None]
    on_unknown_signers: Callable[[], Awaitable[None]]
    now: Callable[[], float]
    published: int = 0
    problem: str = ""
    _identity: OnlineIdentity | None = field(default=None, init=False)

    async def advance_phases(self) -> None:
        """Move the keyring on at every phase boundary; dead keys are erased with it."""
        while True:
            length = self.view.parameters.key_phase_s
            phase = phase_at(self.now(), length)
            if phase != self.keyring.current:
                self.keyring.advance(phase)
            _, end = phase_bounds(phase, self.now(), length)
            await asyncio.sleep(max(end - self.now(), 0.01))

    async def publish_descriptors(self) -> None:
        """Send a descriptor for every consensus before it is due, until every member has it."""
        while True:
            period, due = next_publication(self.now(), self.view.parameters)
            try:
                accepted = await self.ledger.publish_descriptor(self.descriptor(period))
            except LedgerUnavailableError as error:
                self._note(error)
                await asyncio.sleep(RETRY_S)
                continue
            self.published, self.problem = period, ""
            if accepted < len(self.ledger.members):
                await asyncio.sleep(max(min(5 * RETRY_S, due - self.now()), RETRY_S))
                continue
            await asyncio.sleep(max(due - self.now(), 0.01))

    async def follow_consensus(self) -> None:
        """Fetch each consensus soon after it is due."""
        await self._until_newer()
        while True:
            assert self.view.held is not None
            due = next_refresh_at(self.view.held.consensus, secrets.token_bytes)
            await asyncio.sleep(max(due - self.now(), 0.01))
            await self._until_newer()

    async def rotate_keys(self) -> None:
        """Replace service keys whose time has come."""
        while True:
            service = self.keys.service.rotated(int(self.now()), secrets.token_bytes)
            if service != self.keys.service:
                self.keys = NodeKeys(
                    self.keys.identity, self.keys.receipt, service, self.keys.identity_seed
                )
                await asyncio.to_thread(save_service, self.home, self.keys)
                self._identity = None
                self.on_keys(service)
                _log.info("service keys rotated")
            await asyncio.sleep(KEY_CHECK_S)

    def descriptor(self, period: int) -> bytes:
        """The signed descriptor for one consensus."""
        service = self.keys.service
        if self._identity is None:
            self._identity = OnlineIdentity.certify(
                self.keys.identity,
                service.online,
                chain_id=self.profile.chain_id,
                registry=self.profile.registry,
                until=service.online_until,
            )
        wire = build_descriptor(
            self.profile,
            self._identity,
            tickets=service.ticket_publics(),
            phase_key=self.keyring.public,
            period=period,
            published=int(self.now()),
            parameters=self.view.parameters,
            clients=self.census.publish(period) if self.profile.role is Role.ENTRY else 0,
        ).encode()
        self.view.cache.descriptors.own = wire
        return wire

    def loops(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """Everything that has to run."""
        return (
            self.advance_phases,
            self.publish_descriptors,
            self.follow_consensus,
            self.rotate_keys,
        )

    async def _until_newer(self) -> None:
        """Ask the committee until it has a consensus newer than the one held."""
        while True:
            try:
                data = await self.ledger.consensus()
                if data is not None and self.view.offer(data):
                    self.problem = ""
                    return
            except QnetError as error:
                self._note(error)
                if isinstance(error, CryptoError):  # perhaps the committee has changed
                    await self.on_unknown_signers()
            await asyncio.sleep(RETRY_S)

    def _note(self, error: QnetError) -> None:
        cause = f"{error.message}: {error.why}" if error.why else error.message
        if cause != self.problem:
            _log.warning("committee", cause=cause)
        self.problem = cause
