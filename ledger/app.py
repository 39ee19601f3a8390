"""One committee member as a program: everything wired together, every task owned."""

import asyncio
import contextlib
import json
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import click
import structlog
from aiohttp import web

from ledger.api.middleware import SHARED_BURST, SHARED_RATE_PER_S, RateLimit
from ledger.api.routes import Routes, Services
from ledger.config import LedgerConfig, database_url
from ledger.domain.votes import Kind
from ledger.errors import NotAMemberError
from ledger.service.audit_service import AuditService
from ledger.service.beacon_source import BeaconSource, load_seed
from ledger.service.chain_reader import ChainReader
from ledger.service.challenger import Challenger
from ledger.service.demands import Demands
from ledger.service.directory_service import DirectoryService
from ledger.service.epoch_loop import EpochLoop
from ledger.service.handlers import Handlers
from ledger.service.member import Member
from ledger.service.payments.keys import make_issuance_keys
from ledger.service.payments.office import PaymentsOffice
from ledger.service.peers import PeerGate, Peers
from ledger.service.quorum import Quorum
from ledger.service.report_service import ReportService
from ledger.service.settlement import Settlement
from ledger.service.states import States
from ledger.service.statistics import Statistics
from ledger.service.succession import Succession
from ledger.service.unit_of_work import UnitOfWork
from ledger.storage.database import open_database
from qnet.chain.client import ChainClient
from qnet.chain.contracts import Contracts
from qnet.chain.deployment import Deployment
from qnet.chain.sender import KeySigner, Sender
from qnet.crypto.keys import ReceiptKey
from qnet.errors import ConfigError, QnetError
from qnet.files import write_atomic
from qnet.wallet import keystore
from qnet.wallet.passphrase import read_file

SHUTDOWN_S: Final = 3.0
TOKEN_BYTES: Final = 32

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The keys of a member, decrypted, and its auditor's token."""

    signer: ReceiptKey
    owner: ReceiptKey
    audit_token: str


def load_secrets(home: Path, config: LedgerConfig) -> Secrets:
    """Decrypt the keystores and read (or make) the auditor's token.

    Raises:
        KeyAccessError: a file is missing, too open, or the passphrase is wrong.
    """
    passphrase = read_file(home / config.keys.passphrase_file)
    keys = [
        ReceiptKey(keystore.load(home / path).decrypt(passphrase))
        for path in (config.keys.signer, config.keys.owner)
    ]
    token_path = home / config.audit.token_file
    if not token_path.exists():
        token_path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(token_path, secrets.token_hex(TOKEN_BYTES).encode())
    keystore.check_private(token_path)
    return Secrets(keys[0], keys[1], token_path.read_text("ascii").strip())


class Duty(Protocol):
    """Something that runs as long as the member does."""

    async def run(self) -> None:
        """Go on for ever."""
        ...


class LedgerApp:
    """A running member; make it with :func:`open_app`.

    Args:
        member: who we are.
        services: what the routes call.
        peers: the other members.
        loop: consensuses and epochs.
        settlement: the outbox.
        duties: what else runs as long as we do.
    """

    def __init__(
        self,
        member: Member,
        services: Services,
        peers: Peers,
        loop: EpochLoop,
        settlement: Settlement,
        duties: Sequence[Duty],
    ) -> None:
        self.member = member
        self.services = services
        self.settlement = settlement
        self._peers = peers
        self._loop = loop
        self._duties = tuple(duties)

    async def run(
        self, host: str, port: int, *, on_ready: Callable[[int], None], stop: asyncio.Event
    ) -> None:
        """Serve until `stop` is set; a task that fails takes the program down."""
        limit = RateLimit(time.monotonic)
        shared = RateLimit(time.monotonic, rate_per_s=SHARED_RATE_PER_S, burst=SHARED_BURST)
        runner = web.AppRunner(
            Routes(self.services).application(limit, shared),
            access_log=None,
            shutdown_timeout=SHUTDOWN_S,
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            bound = int(runner.addresses[0][1])
            async with self._peers, asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(work)
                    for work in (
                        self._peers.run(),
                        self.services.quorum.run(),
                        self.services.audits.run(),
                        self.services.succession.run(),
                        self._loop.run(),
                        self.settlement.run(),
                        *(duty.run() for duty in self._duties),
                    )
                ]
                on_ready(bound)
                await stop.wait()
                for task in running:
                    task.cancel()
        finally:
            await runner.cleanup()


@contextlib.asynccontextmanager
async def open_app(
    home: Path,
    config: LedgerConfig,
    keys: Secrets,
    *,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[LedgerApp]:
    """Open chain and database and wire a member together.

    Raises:
        NotAMemberError: the signing key is not that of this seat.
        ConfigError: the database or the seed belongs to another network.
        ChainError: the chain does not answer, or is another one.
    """
    deployment = Deployment.load(home / config.chain.deployment)
    url = database_url(home, config.storage.url)
    async with (
        ChainClient.connect(config.chain.rpc, expected_chain_id=deployment.chain_id) as client,
        open_database(url) as engine,
    ):
        contracts = await Contracts.open(client, deployment)
        reader = ChainReader(contracts)
        member = Member(
            index=config.member.index,
            key=keys.signer,
            facts=await reader.facts(),
            reader=reader,
            work=UnitOfWork(engine),
            parameters=await reader.parameters(),
            now=now,
            random=secrets.token_bytes,
        )
        await _check_identity(member, config, client.genesis_hash)
        await member.refresh_parameters(force=True)
        sender = Sender(client, KeySigner(keys.owner))
        yield await _wire(home, config, member, sender, keys.audit_token)


async def _check_identity(member: Member, config: LedgerConfig, genesis_hash: bytes) -> None:
    signers = member.facts.auditors
    if len(config.member.peers) != len(signers):
        raise ConfigError(
            f"member.peers lists {len(config.member.peers)} URLs, the committee has {len(signers)}"
        )
    if member.index >= len(signers) or signers[member.index] != member.key.address:
        raise NotAMemberError(
            f"our signing key is not that of committee member {member.index}",
            try_=("check member.index and keys.signer in ledger.toml",),
        )
    identity = genesis_hash + member.trust.committee + member.key.address
    async with member.work() as rows:
        if await rows.facts.claim("identity", identity) != identity:
            raise ConfigError(
                "the database belongs to another network or member",
                why="the chain was restarted, or storage.url points to the wrong place",
                try_=("start with an empty database",),
            )


async def _wire(
    home: Path, config: LedgerConfig, member: Member, sender: Sender, audit_token: str
) -> LedgerApp:
    urls = config.member.peers
    seed = config.beacon.seed_file
    anchor = await member.reader.contracts.epochs.beacon_anchor()
    beacon = BeaconSource(
        anchor,
        member.clock,
        chain=None if seed is None else await asyncio.to_thread(load_seed, home / seed, anchor),
        urls=[url for place, url in enumerate(urls) if place != member.index],
    )
    peers = Peers(member, urls)
    states = States(member, urls)
    directory = DirectoryService(member, peers, states)
    reports = ReportService(member, peers, states, beacon)
    quorum = Quorum(member, peers, {Kind.CONSENSUS: directory, Kind.REPORT: reports})
    audits = AuditService(member, peers, beacon)
    handlers = Handlers(member)
    keys = await make_issuance_keys(member, peers, quorum)
    payments = await PaymentsOffice.open(member, peers, quorum, keys)
    services = Services(
        member=member,
        handlers=handlers,
        audits=audits,
        reports=reports,
        quorum=quorum,
        beacon=beacon,
        gate=PeerGate(member),
        succession=Succession(member, peers),
        statistics=Statistics(member),
        issuance_keys=keys,
        payments=payments,
        audit_token=audit_token,
    )
    loop = EpochLoop(member, quorum, beacon)
    duties: list[Duty] = [Demands(member, states, handlers), keys, *payments.duties]
    if config.challenger.on_chain(member.trust.chain_id):
        duties.append(Challenger(member, sender.address))
    return LedgerApp(member, services, peers, loop, Settlement(member, sender, quorum), duties)


async def serve(home: Path, config: LedgerConfig) -> None:
    """Run a member until SIGTERM or SIGINT; prints one READY line.

    Raises:
        QnetError: what ended it, e.g. `ChainRestartedError`.
    """
    stop = asyncio.Event()
    running = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(name, stop.set)
    keys = await asyncio.to_thread(load_secrets, home, config)

    def ready(port: int) -> None:
        what = {"ledger": f"{config.host}:{port}", "member": config.member.index}
        click.echo("READY " + json.dumps(what))
        _log.info("ready", member=config.member.index)

    try:
        async with open_app(home, config, keys) as app:
            await app.run(config.host, config.port, on_ready=ready, stop=stop)
    except ExceptionGroup as group:
        cause: Exception = group
        while isinstance(cause, ExceptionGroup):
            cause = cause.exceptions[0]
        _log.error("stopped by a failure", cause=str(cause), kind=type(cause).__name__)
        raise cause from (None if isinstance(cause, QnetError) else group)
    _log.info("stopped", member=config.member.index)
