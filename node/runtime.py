"""One running node: its parts, put together, started and stopped.

listener, pool ── links ── RelayDriver ── RelayCore ── ExitStreams, DirectoryServer
                               ├───────── Mixing (packets)
                           Accounts (receipts)          Upkeep (phases, descriptors, consensus)
                           Tolls (premium payments)
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog

from node.accounting.cosign import Cosigner
from node.ciphers import offered_ciphers
from node.circuit.keys.phase import PhaseKeyring
from node.circuit.relay import RelayCore
from node.config import Endpoint, NodeConfig
from node.directory.cache import DirectoryService
from node.directory.census import ClientCensus
from node.directory.descriptor import NodeProfile
from node.exit.connector import Connector
from node.exit.notice import configured_notice
from node.exit.notice_server import serve_notice
from node.exit.service import make_connector
from node.exit.streams import ExitStreams
from node.htx.events import CloseReason
from node.htx.events import Role as LinkRole
from node.htx.keys import LocalIdentity
from node.htx.record import RecordType
from node.io.accounts import Accounts
from node.io.control import ControlServer
from node.io.decoy import load_site
from node.io.directory_service import DirectoryServer
from node.io.directory_upkeep import DirectoryUpkeep
from node.io.driver import RelayDriver
from node.io.endpoint import Link, LinkServer, dial, serve
from node.io.ledger_client import LedgerClient
from node.io.metrics import Counters, serve_metrics
from node.io.mix_exit import MixExitService
from node.io.mixing import MixIdentity, Mixing
from node.io.pool import LinkPool
from node.io.spool import Spool
from node.io.ticket_store import FileTicketStore
from node.keys import NodeKeys
from node.mix.live_paths import LivePaths
from node.payments.relay.relay_chain import RelayChain
from node.payments.relay.toll_store import TollStore
from node.payments.relay.tolls import STORE_NAME, Tolls, claiming_of, relay_chain_of
from node.registration import Registration
from node.status import node_metrics, node_status
from node.upkeep import Upkeep, phases_ahead
from node.view import NetworkView, address_of
from qnet.eip712 import qnet_domain
from qnet.epochs import phase_at
from qnet.messages.consensus import Consensus
from qnet.messages.descriptor import Role

TICK_S = 1.0
DRAIN_S = 0.2
"""Time for the last cells to leave when the node stops."""

_log = structlog.get_logger(__name__)


class NodeRuntime:
    """A node; `run` is its life.

    Args:
        home: Its folder.
        config: `node.toml`.
        keys: Opened keys.
        registration: Its place in the network.
        chain: Where payments are settled; by default that of the configuration.
    """

    def __init__(
        self,
        home: Path,
        config: NodeConfig,
        keys: NodeKeys,
        registration: Registration,
        chain: RelayChain | None = None,
    ) -> None:
        self.home = home
        self.config = config
        self.keys = keys
        self.registration = registration
        self.role = Role[config.node.role.upper()]
        self.started_at = time.time()
        self.counters = Counters()
        self.census = ClientCensus(secrets.token_bytes)
        self.view = NetworkView(registration.trust, registration.parameters, now=time.time)
        self.parameters_in_force = registration.parameters
        self.keyring = PhaseKeyring(
            phase_at(time.time(), registration.parameters.key_phase_s),
            ahead=phases_ahead(registration.parameters),
        )
        self.spool = Spool(home / "state" / "spool.db")
        self.tolls: Tolls | None = None
        self._chain = chain
        self._clock = time.monotonic
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, ready: Callable[[dict[str, Any]], None], stop: asyncio.Event) -> None:
        """Run until `stop` is set; any part's failure ends it.

        Args:
            ready: Called once when everything listens.
            stop: Ends the node gracefully.
        """
        async with AsyncExitStack() as stack:
            stack.callback(self.spool.close)
            toll_store: TollStore | None = None
            tolls_path = self.home / "state" / STORE_NAME
            if self.config.node.price or tolls_path.exists():  # what was earned is settled still
                toll_store = TollStore(tolls_path)
                stack.callback(toll_store.close)
            self.ledger = await stack.enter_async_context(LedgerClient(self.config.ledger.members))
            group = await stack.enter_async_context(asyncio.TaskGroup())
            self._group = group
            self._assemble()
            if toll_store is not None:
                self.tolls = await self._charge(toll_store)
                if self.config.node.price:
                    self.driver.charge(self.tolls.booth)
            tickets = FileTicketStore(self.home / "state" / "tickets")
            stack.callback(tickets.close)
            self.server = await self._listen(tickets)
            self.directory_upkeep = DirectoryUpkeep.of_home(self.home, self.view, self.ledger)
            self.upkeep = self._make_upkeep()
            self.view.on_change(self._follow)
            own_loops: tuple[Callable[[], Coroutine[Any, Any, None]], ...]
            own_loops = (self.accounts.run, self._tick)
            if self.tolls is not None:
                own_loops = (*own_loops, self.tolls.run)
            loops = [
                group.create_task(loop())
                for loop in (*self.upkeep.loops(), *self.directory_upkeep.loops(), *own_loops)
            ]
            loops += [
                group.create_task(self.accounts.deliver(member)) for member in self.ledger.members
            ]
            control = ControlServer({"status": self._status, "stop": _stopper(stop)})
            await stack.enter_async_context(control.serve(self.home / "control.sock"))
            metrics = await stack.enter_async_context(
                serve_metrics(self.config.metrics.listen, lambda: node_metrics(self))
            )
            page = await stack.enter_async_context(
                serve_notice(self.config.exit.notice_listen, self.notice)
            )
            ready(self._ready(metrics) | {"notice_port": page})
            await stop.wait()
            await self._shut_down()
            for task in (*loops, *self._tasks):
                task.cancel()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine in the node's task group."""
        assert self._group is not None
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # parts

    def _assemble(self) -> None:
        config, view = self.config, self.view
        connector = make_connector(
            config,
            parameters=lambda: self.parameters_in_force,
            counters=self.counters,
            spawn=self.spawn,
            now=self._clock,
        )
        self.policy = connector.policy
        self.notice = configured_notice(config, self.policy).site()
        self.core = RelayCore(
            node_id=self.keys.node_id,
            phase_keys=self.keyring,
            random=secrets.token_bytes,
            parameters=view.parameters,
            exits=self.role is Role.EXIT,
        )
        self.accounts = self._make_accounts()
        self.driver = RelayDriver(
            core=self.core,
            meter=self.accounts,
            records=self._record,
            census=self.census,
            now=self._clock,
            rate_kbps=config.node.rate_kbps,
        )
        self.pool = LinkPool(
            dial=self._dial,
            spawn=self.spawn,
            now=self._clock,
            circuits_on=self.core.circuits_on,
            check=lambda index, node_id: self.view.node(node_id, index),
            on_ready=lambda node_id: self.spawn(self.accounts.link_ready(node_id)),
        )
        self.exits = ExitStreams(
            core=self.core,
            connector=connector,
            spawn=self.spawn,
            wake=self.driver.wake,
            carry_out=self.driver.carry_out,
            now=self._clock,
        )
        self.directory = DirectoryServer(
            service=DirectoryService(view.cache, view.parameters, secrets.token_bytes),
            core=self.core,
            wake=self.driver.wake,
            now=time.time,
        )
        self.driver.attach(self.pool, self.exits, self.directory)
        self.mixing = self._make_mixing()
        self.driver.mix(self.mixing)
        self.mix_exit = self._make_mix_exit(connector) if self.role is Role.EXIT else None

    def _make_mixing(self) -> Mixing:
        live = LivePaths(secrets.token_bytes)
        self.view.on_change(live.follow)
        return Mixing(
            MixIdentity(self.registration.index, self.keys.node_id, self.role),
            keyring=self.keyring,
            live=live,
            pool=self.pool,
            meter=self.accounts,
            admits=self.driver.pacer.overdraw,
            random=secrets.token_bytes,
            now=self._clock,
        )

    def _make_mix_exit(self, connector: Connector) -> MixExitService:
        return MixExitService(
            self.mixing,
            keyring=self.keyring,
            connector=connector,
            parameters=lambda: self.parameters_in_force,
            spawn=self.spawn,
            random=secrets.token_bytes,
            now=self._clock,
        )

    def _make_accounts(self) -> Accounts:
        registration = self.registration
        cosigner = Cosigner(
            registration.index,
            self.keys.receipt,
            domain=qnet_domain(registration.trust.chain_id, registration.oracle),
            clock=registration.clock,
            parameters=registration.parameters,
            receipt_address_of=self._receipt_address_of,
        )
        return Accounts(
            own=registration.index,
            clock=registration.clock,
            cosigner=cosigner,
            spool=self.spool,
            ledger=self.ledger,
            view=self.view,
            link_to=lambda node_id: self.pool.links().get(node_id),
            now=time.time,
        )

    async def _charge(self, store: TollStore) -> Tolls:
        registration = self.registration
        claiming = await claiming_of(
            relay=registration.index,
            key=self.keys.receipt,
            quorum=registration.trust.quorum,
            rewards=registration.clock,
            chain=self._chain or relay_chain_of(self.config),
            ledger=self.ledger,
            store=store,
            now=time.time,
        )
        return Tolls.over(claiming, self.config.node.price, self.core, self.driver.wake)

    def _make_upkeep(self) -> Upkeep:
        node, keys, registration = self.config.node, self.keys, self.registration
        where = Endpoint.parse(node.advertise or node.listen)
        profile = NodeProfile(
            chain_id=registration.trust.chain_id,
            registry=registration.registry,
            owner=registration.owner,
            index=registration.index,
            role=self.role,
            host=where.host,
            port=where.port or self.server.port,
            sni=node.sni,
            spki_hash=keys.service.spki_hash,
            link_key=keys.service.links[0].key.public,
            receipt_address=keys.receipt.address,
            family=node.family,
            software=version("qnet"),
            policy=self.policy.canonical() if self.role is Role.EXIT else "",
            ciphers=offered_ciphers(),
            bandwidth_kbps=min(node.mbps * 1000, node.rate_kbps or node.mbps * 1000),
            price=node.price,
        )
        return Upkeep(
            home=self.home,
            keys=keys,
            profile=profile,
            keyring=self.keyring,
            view=self.view,
            ledger=self.ledger,
            census=self.census,
            on_keys=lambda service: self.server.replace_keys(service.server_keys()),
            on_unknown_signers=self.directory_upkeep.follow_committee,
            now=time.time,
        )

    async def _listen(self, tickets: FileTicketStore) -> LinkServer:
        where = Endpoint.parse(self.config.node.listen)
        return await serve(
            where.host,
            where.port,
            keys=self.keys.service.server_keys(),
            decoy=load_site(
                self.config.node.decoy, self.notice if self.role is Role.EXIT else None
            ),
            handler=self.driver,
            parameters=self.view.parameters,
            link_keys_of=self.view.link_keys_of,
            ticket_store=tickets,
        )

    # what the parts ask for

    async def _dial(self, index: int, node_id: bytes) -> Link:
        node = self.view.node(node_id, index)
        identity = LocalIdentity(
            LinkRole(int(self.role)), self.keys.node_id, self.upkeep.keys.service.links[0].key
        )
        return await dial(
            address_of(node),
            identity=identity,
            handler=self.driver,
            parameters=self.view.parameters,
            role=LinkRole(int(node.role)),
        )

    def _record(self, link: Link, kind: RecordType, content: bytes) -> None:
        if kind is RecordType.DIR_GET:
            self.directory.request(link, content)
        elif kind is RecordType.RECEIPT and link.peer.node_id is not None:
            self.spawn(self.accounts.record(link, content))
        else:
            link.close(CloseReason.PROTOCOL)

    def _receipt_address_of(self, index: int, epoch: int) -> bytes | None:
        del epoch
        node = self.view.held.consensus.by_index.get(index) if self.view.held else None
        return node.receipt_address if node is not None else None

    def _follow(self, consensus: Consensus) -> None:
        """Obey the parameters of a new consensus."""
        parameters = consensus.parameters
        if parameters == self.parameters_in_force:
            return
        self.core.set_parameters(parameters)
        self.directory.service.configure(parameters)
        self.server.settings = replace(self.server.settings, parameters=parameters)
        self.parameters_in_force = parameters
        _log.info("parameters changed", hash=parameters.hash().hex()[:16])

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self.driver.tick()
            self.mixing.tick()
            if self.mix_exit is not None:
                self.mix_exit.tick()

    async def _shut_down(self) -> None:
        _log.info("stopping")
        self.driver.carry_out(self.core.shutdown(self._clock()))
        self.driver.wake()
        await asyncio.sleep(DRAIN_S)
        self.exits.close()
        if self.mix_exit is not None:
            self.mix_exit.close()
        await self.server.close()
        for link in list(self.driver.links.values()):
            link.close(CloseReason.SHUTDOWN)
        self.mixing.close()

    async def _status(self, _arguments: Any) -> Any:
        return node_status(self)

    def _ready(self, metrics: int) -> dict[str, Any]:
        return {
            "node_id": self.keys.node_id.hex(),
            "index": self.registration.index,
            "role": self.config.node.role,
            "port": self.server.port,
            "metrics_port": metrics,
        }


def _stopper(stop: asyncio.Event) -> Callable[[Any], Coroutine[Any, Any, Any]]:
    async def stopping(_arguments: Any) -> dict[str, bool]:
        stop.set()
        return {"stopping": True}

    return stopping
