"""Routes of premium payments: docs/spec/payments.md, section Interfaces between programs."""

from typing import Final

from aiohttp import web

from ledger.api import schemas
from ledger.api.middleware import read_body
from ledger.service.payments.office import PaymentsOffice
from qnet.crypto.keys import ADDRESS_BYTES
from qnet.errors import DecodeError
from qnet.messages.fields import U64_MAX
from qnet.messages.instruments import HASH_BYTES

CBOR: Final = "application/cbor"
OCTETS: Final = "application/octet-stream"
BUY_PATH: Final = "/v1/payments/buy"
SWAP_PATH: Final = "/v1/payments/swap"
CLAIMS_PATH: Final = "/v1/payments/claims"
BUY_BYTES: Final = 4096
SWAP_BYTES: Final = 4096
CLAIMS_BYTES: Final = 1 << 17
"""The largest of each, rounded up."""
KEYS_PATH: Final = "/v1/payments/keys/{epoch}"
STATUS_PATH: Final = "/v1/payments/status"
INPUT_PATH: Final = "/v1/payments/input/{message}"
OVER_CIRCUITS: Final = frozenset({SWAP_PATH, KEYS_PATH, STATUS_PATH, INPUT_PATH})
"""What wallets ask over circuits, from exits that many share."""


class PaymentRoutes:
    """Request handlers.

    Args:
        office: what they call.
    """

    def __init__(self, office: PaymentsOffice) -> None:
        self._office = office

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add all routes."""
        router.add_post(BUY_PATH, self.post_buy)
        router.add_post(SWAP_PATH, self.post_swap)
        router.add_post(CLAIMS_PATH, self.post_claims)
        router.add_get(KEYS_PATH, self.get_keys)
        router.add_get(STATUS_PATH, self.get_status)
        router.add_get("/v1/payments/purchases/{channel}", self.get_purchases)
        router.add_get(INPUT_PATH, self.get_input)
        router.add_get("/v1/payments/leaf/{epoch}/{relay}", self.get_leaf)

    async def post_buy(self, request: web.Request) -> web.Response:
        """Sign the points of a purchase."""
        answer = await self._office.buy(await read_body(request, BUY_BYTES))
        return web.Response(body=answer, content_type=OCTETS)

    async def post_swap(self, request: web.Request) -> web.Response:
        """Sign the outputs of a swap."""
        answer = await self._office.swap(await read_body(request, SWAP_BYTES))
        return web.Response(body=answer, content_type=OCTETS)

    async def post_claims(self, request: web.Request) -> web.Response:
        """Take a relay's claims."""
        taken = await self._office.claim(await read_body(request, CLAIMS_BYTES))
        return web.json_response({"taken": taken})

    async def get_keys(self, request: web.Request) -> web.Response:
        """Public keys of an epoch."""
        body = await self._office.keys(schemas.number(request, "epoch"))
        return web.Response(body=body, content_type=CBOR)

    async def get_status(self, _request: web.Request) -> web.Response:
        """Where issuing stands, and how large the crowd is."""
        return web.json_response(await self._office.status())

    async def get_purchases(self, request: web.Request) -> web.Response:
        """Purchases of a channel, with `?after=NONCE` those above it."""
        channel = _octets(request, "channel", ADDRESS_BYTES)
        after = schemas.queried(request, "after", U64_MAX) or 0
        body = await self._office.purchases(channel, after)
        return web.Response(body=body, content_type=CBOR)

    async def get_input(self, request: web.Request) -> web.Response:
        """The swap that an instrument went into."""
        body = await self._office.input(_octets(request, "message", HASH_BYTES))
        return web.Response(body=body, content_type=CBOR)

    async def get_leaf(self, request: web.Request) -> web.Response:
        """A relay's leaf under the attested root."""
        epoch, relay = schemas.number(request, "epoch"), schemas.number(request, "relay", 0xFFFF)
        return web.json_response(await self._office.leaf(epoch, relay))


def _octets(request: web.Request, name: str, size: int) -> bytes:
    """Bytes in the path, as hexadecimal digits with or without 0x.

    Raises:
        DecodeError: something else, or another number of bytes.
    """
    text = request.match_info[name].removeprefix("0x")
    try:
        value = bytes.fromhex(text) if text.isascii() and text.isalnum() else b""
    except ValueError:
        value = b""
    if len(value) != size:
        raise DecodeError(f"{name} is not {size} bytes in hexadecimal")
    return value
