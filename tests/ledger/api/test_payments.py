"""The routes of premium payments: bounds, refusals and what is not there yet."""

import json
import secrets

import pytest

from ledger.api.payments import BUY_BYTES, CLAIMS_BYTES, SWAP_BYTES
from qnet import cbor
from qnet.crypto.keys import ReceiptKey
from qnet.eip712 import qnet_domain
from qnet.messages.voucher import Purchase
from tests.ledger.api.conftest import Ask
from tests.support.anvil import Network

pytestmark = pytest.mark.chain


@pytest.mark.parametrize(
    ("path", "limit"), [("buy", BUY_BYTES), ("swap", SWAP_BYTES), ("claims", CLAIMS_BYTES)]
)
def test_bodies_are_bounded_and_read_strictly(ask: Ask, path: str, limit: int):
    for body in (b"", b"\x00", secrets.token_bytes(300), bytes(limit)):
        status, answer = ask("POST", f"/v1/payments/{path}", body)
        assert (status, json.loads(answer)["error"]["code"][0]) == (400, "Q")
    assert ask("POST", f"/v1/payments/{path}", bytes(limit + 1))[0] == 413


def test_what_is_not_there_is_not_found(ask: Ask):
    for path in (
        "keys/0",
        "keys/4000000000",
        f"input/{'00' * 32}",
        "leaf/0/1",
        "leaf/4000000000/65535",
    ):
        status, answer = ask("GET", f"/v1/payments/{path}")
        assert (status, json.loads(answer)["error"]["code"]) == (404, "Q1023"), path


@pytest.mark.parametrize(
    "path",
    [
        "keys/x",
        "keys/-1",
        "keys/99999999999",
        "purchases/00",
        f"purchases/{'0' * 39}g",
        f"purchases/{'00' * 20}?after=x",
        f"input/{'00' * 31}",
        "leaf/0/65536",
    ],
)
def test_malformed_paths(ask: Ask, path: str):
    assert ask("GET", f"/v1/payments/{path}")[0] == 400


def test_a_channel_without_purchases(ask: Ask):
    for text in ("00" * 20, "0x" + "AB" * 20):
        status, answer = ask("GET", f"/v1/payments/purchases/{text}")
        assert (status, cbor.loads(answer, max_bytes=64)) == (200, [])


def test_status_says_that_nothing_is_sold_without_keys(ask: Ask):
    status, answer = ask("GET", "/v1/payments/status")
    assert status == 200
    told = json.loads(answer)
    assert told["open"] is False
    assert (told["keys"], told["buyers"], told["swaps"]) == ([], 0, 0)
    whole = json.loads(ask("GET", "/v1/status")[1])
    assert whole["payments"]["running"] == told["running"]


def test_a_refusal_says_why(ask: Ask, network: Network):
    deployment = network.deployment
    domain = qnet_domain(deployment.chain_id, deployment.address("PremiumChannels"))
    made = Purchase.make(
        ReceiptKey.generate(), domain, [bytes(48)], cumulative_wei=1, nonce=1, epoch=9
    )
    status, answer = ask("POST", "/v1/payments/buy", made.encode())
    error = json.loads(answer)["error"]
    assert (status, error["code"]) == (409, "Q1018")
    assert error["why"] == "the issuance epoch is not the running one"
    forged = made.encode()[:-1] + bytes([made.encode()[-1] ^ 1])
    status, answer = ask("POST", "/v1/payments/buy", forged)
    assert json.loads(answer)["error"]["why"] == "not signed by whom it names"


def test_strangers_do_not_exchange(ask: Ask):
    for path in ("inventory", "fetch", "bundles"):
        status, _ = ask("POST", f"/v1/peer/payments/{path}", secrets.token_bytes(64))
        assert status == 400
