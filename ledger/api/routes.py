"""The HTTP interface of a member: docs/spec/ledger-api.md."""

import contextlib
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from ledger.api import schemas
from ledger.api.middleware import (
    MAX_BODY_BYTES,
    MAX_PEER_BODY_BYTES,
    RateLimit,
    bounded,
    read_body,
    refusal,
)
from ledger.api.payments import OVER_CIRCUITS, PaymentRoutes
from ledger.errors import NotReadyError
from ledger.service.audit_service import COMMIT_PATH, REVEAL_PATH, AuditService
from ledger.service.beacon_source import BeaconSource
from ledger.service.directory_service import DESCRIPTORS_PATH
from ledger.service.handlers import Handlers, parse_receipts
from ledger.service.member import Member
from ledger.service.payments.exchange import PATHS as PAYMENT_PATHS
from ledger.service.payments.gathering import BUNDLES_PATH
from ledger.service.payments.keys import IssuanceKeys
from ledger.service.payments.office import PaymentsOffice
from ledger.service.peers import PeerGate
from ledger.service.quorum import PATH as AGREEMENT_PATH
from ledger.service.quorum import Quorum
from ledger.service.report_service import FETCH_PATH, INVENTORY_PATH, ReportService
from ledger.service.statistics import Statistics
from ledger.service.succession import CHANGE_PATH, Succession
from qnet import cbor
from qnet.messages.evidence import MAX_EVIDENCE_BYTES
from qnet.messages.fields import U64_MAX
from qnet.messages.succession import encode_changes

CBOR: Final = "application/cbor"
RECEIPTS_MAX: Final = 512
DESCRIPTORS_PAGE: Final = 512


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the routes call."""

    member: Member
    handlers: Handlers
    audits: AuditService
    reports: ReportService
    quorum: Quorum
    beacon: BeaconSource
    gate: PeerGate
    succession: Succession
    statistics: Statistics
    issuance_keys: IssuanceKeys
    payments: PaymentsOffice
    audit_token: str


class Routes:
    """Request handlers.

    Args:
        services: what they call.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._handlers = services.handlers

    def application(self, limit: RateLimit, shared: RateLimit) -> web.Application:
        """The application to serve; limits as in `bounded`."""
        middleware = bounded(limit, shared, OVER_CIRCUITS)
        app = web.Application(middlewares=[middleware], client_max_size=MAX_PEER_BODY_BYTES)
        app.router.add_post("/v1/descriptors", self.post_descriptor)
        app.router.add_get("/v1/descriptors", self.get_descriptors)
        app.router.add_get("/v1/consensus/latest", self.get_latest)
        app.router.add_get("/v1/consensus/{valid_after}", self.get_consensus)
        app.router.add_post("/v1/receipts", self.post_receipts)
        app.router.add_get("/v1/beacon/{slot}", self.get_beacon)
        app.router.add_get("/v1/epochs/{epoch}/report", self.get_report)
        app.router.add_get("/v1/epochs/{epoch}/leaf/{index}", self.get_leaf)
        app.router.add_get("/v1/epochs/{epoch}/data", self.get_data)
        app.router.add_get("/v1/nodes", self.get_nodes)
        app.router.add_get("/v1/nodes/{index}", self.get_node)
        app.router.add_get("/v1/committee/changes", self.get_changes)
        app.router.add_post("/v1/evidence", self.post_evidence)
        app.router.add_get("/v1/evidence", self.get_evidence)
        app.router.add_get("/v1/status", self.get_status)
        app.router.add_get("/v1/audit/assignments", self.get_assignments)
        app.router.add_post("/v1/audit/results", self.post_results)
        for path in (
            AGREEMENT_PATH,
            COMMIT_PATH,
            REVEAL_PATH,
            INVENTORY_PATH,
            FETCH_PATH,
            DESCRIPTORS_PATH,
            CHANGE_PATH,
            BUNDLES_PATH,
            *PAYMENT_PATHS,
        ):
            app.router.add_post(path, self.post_peer)
        PaymentRoutes(self._services.payments).add_to(app.router)
        return app

    # ---- nodes -------------------------------------------------------------------------------

    async def post_descriptor(self, request: web.Request) -> web.Response:
        """Take a descriptor."""
        new = await self._handlers.submit_descriptor(await read_body(request))
        return web.json_response({"new": new}, status=202)

    async def get_descriptors(self, request: web.Request) -> web.Response:
        """List descriptors, by pages when asked with `after`."""
        after = schemas.queried(request, "after")
        found = await self._handlers.descriptors(after)
        return _cbor(cbor.dumps(found if after is None else found[:DESCRIPTORS_PAGE]))

    async def get_latest(self, _request: web.Request) -> web.Response:
        """The newest consensus."""
        return _cbor(await self._handlers.consensus(None))

    async def get_consensus(self, request: web.Request) -> web.Response:
        """The consensus of a period."""
        period = schemas.number(request, "valid_after", U64_MAX)
        return _cbor(await self._handlers.consensus(period))

    async def post_receipts(self, request: web.Request) -> web.Response:
        """Take receipts."""
        value = cbor.loads(await read_body(request), max_bytes=MAX_BODY_BYTES, max_depth=1)
        codes = await self._handlers.submit_receipts(parse_receipts(value, RECEIPTS_MAX))
        return _cbor(cbor.dumps(codes))

    async def get_beacon(self, request: web.Request) -> web.Response:
        """The beacon of a slot that has begun."""
        slot = schemas.number(request, "slot")
        try:
            value = await self._services.beacon.value(slot, self._services.member.now())
        except NotReadyError as error:
            return refusal(404, error.code, error.message, error.why)
        return web.Response(body=value, content_type="application/octet-stream")

    # ---- results -----------------------------------------------------------------------------

    async def get_report(self, request: web.Request) -> web.Response:
        """The report of an epoch."""
        return web.json_response(await self._handlers.report(schemas.number(request, "epoch")))

    async def get_leaf(self, request: web.Request) -> web.Response:
        """A node's leaf and proof."""
        epoch, index = schemas.number(request, "epoch"), schemas.number(request, "index")
        return web.json_response(await self._handlers.leaf(epoch, index))

    async def get_data(self, request: web.Request) -> web.Response:
        """The data blob of an epoch's report."""
        return _cbor((await self._handlers.report_row(schemas.number(request, "epoch"))).data)

    async def get_nodes(self, _request: web.Request) -> web.Response:
        """What the newest report says about every node."""
        return web.json_response(await self._services.statistics.nodes())

    async def get_node(self, request: web.Request) -> web.Response:
        """What the newest report says about one node."""
        index = schemas.number(request, "index")
        return web.json_response(await self._services.statistics.node(index))

    # ---- trust -------------------------------------------------------------------------------

    async def get_changes(self, _request: web.Request) -> web.Response:
        """Certified changes of the committee."""
        changes = await self._services.succession.changes()
        if not changes:
            return refusal(404, "Q1014", "the committee has not changed")
        return _cbor(encode_changes(changes))

    async def post_evidence(self, request: web.Request) -> web.Response:
        """Take a proof of a double consensus."""
        body = await read_body(request, MAX_EVIDENCE_BYTES)
        new = await self._services.succession.submit_evidence(body)
        return web.json_response({"new": new}, status=202)

    async def get_evidence(self, _request: web.Request) -> web.Response:
        """The newest proofs."""
        return _cbor(cbor.dumps(await self._services.succession.evidence()))

    async def get_status(self, _request: web.Request) -> web.Response:
        """Where this member stands."""
        status: dict[str, Any] = await self._handlers.status()
        with contextlib.suppress(NotReadyError):
            status["payments"] = await self._services.payments.status()
        return web.json_response(status)

    # ---- the auditor -------------------------------------------------------------------------

    async def get_assignments(self, request: web.Request) -> web.Response:
        """What to probe in this slot."""
        schemas.check_token(request, self._services.audit_token)
        return web.json_response(schemas.slot_work_json(await self._services.audits.assignments()))

    async def post_results(self, request: web.Request) -> web.Response:
        """Take what the auditor found."""
        schemas.check_token(request, self._services.audit_token)
        results = schemas.parse_results(await read_body(request))
        await self._services.audits.take_results(results)
        return web.json_response({}, status=202)

    # ---- members -----------------------------------------------------------------------------

    async def post_peer(self, request: web.Request) -> web.Response:
        """Take a call of another member."""
        data = await read_body(request, MAX_PEER_BODY_BYTES)
        sender, body = self._services.gate.admit(request.path, data)
        return _cbor(await self._answer_peer(request.path, sender, body))

    async def _answer_peer(self, path: str, sender: int, body: bytes) -> bytes:
        services = self._services
        if path == AGREEMENT_PATH:
            await services.quorum.receive(sender, body)
        elif path == COMMIT_PATH:
            await services.audits.take_commit(sender, body)
        elif path == REVEAL_PATH:
            await services.audits.take_reveal(sender, body)
        elif path == INVENTORY_PATH:
            return await services.reports.inventory(schemas.parse_inventory_call(body))
        elif path == CHANGE_PATH:
            await services.succession.receive(sender, body)
        elif path == BUNDLES_PATH:
            return await services.issuance_keys.rounds.answer(sender, body)
        elif path in PAYMENT_PATHS:
            return await services.payments.exchange.answer(path, body)
        elif path == FETCH_PATH:
            return await services.reports.pick(*schemas.parse_fetch_call(body))
        else:
            return cbor.dumps(await services.handlers.descriptors())
        return b""


def _cbor(body: bytes) -> web.Response:
    return web.Response(body=body, content_type=CBOR)
