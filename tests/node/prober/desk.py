"""The auditor's desk at a member: its HTTP interface without the committee behind it.

Tokens, bodies and errors are checked by the member's own code.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from ledger.api.middleware import RateLimit, bounded, read_body
from ledger.api.schemas import check_token, parse_results, slot_work_json
from ledger.domain.audits import Assignment
from ledger.errors import NotReadyError
from ledger.service.audit_service import ResultsBody, SlotWork
from qnet.errors import RejectedError

TOKEN = "token of the auditor"


@dataclass
class Desk:
    """What the member hands out and gets back."""

    url: str = ""
    work: SlotWork | None = None
    answer: bytes = b""
    fails: int = 0
    refuses: bool = False
    asked: int = 0
    posted: list[ResultsBody] = field(default_factory=list)

    def give(
        self,
        slot: int,
        targets: Sequence[tuple[int, int | None]],
        *,
        capacity: Sequence[int] = (),
        window_s: float = 5.0,
    ) -> None:
        self.work = SlotWork(
            epoch=0,
            slot=slot,
            ends_at=int(time.time() + window_s),
            targets=tuple(Assignment(*target) for target in targets),
            roles={target: "relay" for target, _ in targets},
            capacity=tuple(capacity),
            burst_bytes=1 << 18,
        )

    async def get_work(self, request: web.Request) -> web.Response:
        check_token(request, TOKEN)
        self.asked += 1
        if self.answer:
            return web.Response(body=self.answer)
        if self.work is None:
            raise NotReadyError("the network has not begun")
        return web.json_response(slot_work_json(self.work))

    async def take(self, request: web.Request) -> web.Response:
        check_token(request, TOKEN)
        results = parse_results(await read_body(request))
        if self.fails > 0:
            self.fails -= 1
            raise NotReadyError("busy")
        if self.refuses:
            raise RejectedError("results are taken during their slot", why="too late")
        self.posted.append(results)
        return web.json_response({}, status=202)


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    """A desk on loopback."""
    it = Desk()
    app = web.Application(middlewares=[bounded(RateLimit(time.monotonic))])
    app.router.add_get("/v1/audit/assignments", it.get_work)
    app.router.add_post("/v1/audit/results", it.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    it.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield it
    finally:
        await runner.cleanup()
