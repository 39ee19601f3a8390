"""The interface: every garbage is a 4xx, and each route does what its page says."""

import json
import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qnet import cbor
from qnet.crypto.keys import ReceiptKey, keccak256
from qnet.eip712 import qnet_domain
from qnet.messages.evidence import DoubleConsensus
from qnet.messages.peer import SignedBody
from qnet.messages.receipt import LinkReceipt, Side
from tests.ledger.api.conftest import TOKEN, Ask
from tests.support.anvil import Network
from tests.support.signed_network import NodeKeys, Role, make_network

pytestmark = [pytest.mark.chain, pytest.mark.timeout(120)]

BEARER = {"Authorization": f"Bearer {TOKEN}"}
PEER_PATHS = (
    "/v1/peer/agreement",
    "/v1/peer/audit/commit",
    "/v1/peer/audit/reveal",
    "/v1/peer/inventory",
    "/v1/peer/fetch",
    "/v1/peer/committee",
    "/v1/peer/descriptors",
)
POSTS = ("/v1/descriptors", "/v1/evidence", "/v1/receipts", "/v1/audit/results", *PEER_PATHS)

cbor_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.binary(max_size=130)
    | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)
bodies = st.binary(max_size=400) | cbor_values.map(cbor.dumps)
fuzz = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("path", POSTS)
@fuzz
@given(body=bodies)
def test_garbage_is_never_our_error(ask: Ask, path: str, body: bytes):
    status, answer = ask("POST", path, body, BEARER)
    assert 400 <= status < 500 or (path == "/v1/receipts" and body == b"\x80"), answer


@fuzz
@given(
    path=st.sampled_from(
        [
            "/v1/consensus/{}",
            "/v1/beacon/{}",
            "/v1/epochs/{}/report",
            "/v1/epochs/0/leaf/{}",
            "/v1/nodes/{}",
            "/v1/descriptors?after={}",
        ]
    ),
    word=st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=30)
    | st.integers(-5, 2**80).map(str),
)
def test_odd_paths_are_never_our_error(ask: Ask, path: str, word: str):
    from urllib.parse import quote

    status, answer = ask("GET", path.format(quote(word, safe="")))
    assert status in {200, 400, 404}, answer


@fuzz
@given(
    body=st.fixed_dictionaries(
        {"epoch": st.integers(-1, 3), "slot": st.integers(-1, 30)},
        optional={
            "results": st.lists(
                st.fixed_dictionaries(
                    {
                        "target": st.integers(-1, 9),
                        "probes": st.lists(
                            st.fixed_dictionaries(
                                {"micros": st.none() | st.integers(-1, 2**33)},
                                optional={"control_ok": st.none() | st.booleans() | st.text()},
                            ),
                            max_size=3,
                        ),
                    }
                ),
                max_size=3,
            ),
            "capacity": st.lists(
                cbor_values.filter(lambda v: not isinstance(v, bytes)), max_size=1
            ),
        },
    )
)
def test_audit_results_of_any_shape(ask: Ask, body: dict):
    data = json.dumps(body, default=repr).encode()
    status, answer = ask("POST", "/v1/audit/results", data, BEARER)
    assert status in {202, 400, 409}, answer


def peer_call(network: Network, path: str, body: bytes, *, member: int = 1) -> bytes:
    deployment = network.deployment
    domain = qnet_domain(deployment.chain_id, deployment.address("Committee"))
    signed = SignedBody.sign(
        network.member_signers[member],
        domain=domain,
        path=path,
        recipient=network.member_signers[0].address,
        timestamp=deployment.genesis_s + 45,
        nonce=os.urandom(16),
        body=body,
    )
    return signed.encode()


@pytest.mark.parametrize("path", PEER_PATHS[:-1])
@fuzz
@given(body=bodies.filter(bool))
def test_garbage_of_a_member_is_never_our_error(ask: Ask, network: Network, path: str, body: bytes):
    status, answer = ask("POST", path, peer_call(network, path, body))
    assert 400 <= status < 500, answer


def test_a_call_is_taken_once_and_only_on_its_path(ask: Ask, network: Network):
    body = peer_call(network, "/v1/peer/inventory", cbor.dumps({"epoch": 1}))
    status, answer = ask("POST", "/v1/peer/inventory", body)
    assert status == 200
    assert cbor.loads(answer, max_bytes=100) == {"receipts": b"", "reveals": b""}
    assert ask("POST", "/v1/peer/inventory", body)[0] == 400
    other = peer_call(network, "/v1/peer/inventory", cbor.dumps({"epoch": 1}))
    assert ask("POST", "/v1/peer/fetch", other)[0] == 400


def test_too_large_a_body_is_refused_unread(ask: Ask):
    try:
        status, _ = ask("POST", "/v1/receipts", bytes((4 << 20) + 1))
    except (BrokenPipeError, ConnectionResetError):
        return
    assert status == 413


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "é"}])
def test_the_auditor_needs_its_token(ask: Ask, headers: dict[str, str]):
    assert ask("GET", "/v1/audit/assignments", b"", headers)[0] == 401
    assert ask("POST", "/v1/audit/results", b"{}", headers)[0] == 401


def test_assignments_wait_for_a_consensus(ask: Ask):
    status, answer = ask("GET", "/v1/audit/assignments", b"", BEARER)
    assert status == 404
    assert json.loads(answer)["error"]["code"] == "Q1006"


def test_results_are_taken_in_their_slot_only(ask: Ask):
    status = json.loads(ask("GET", "/v1/status")[1])
    now = {"epoch": status["epoch"], "slot": status["slot"]}
    assert ask("POST", "/v1/audit/results", json.dumps(now).encode(), BEARER)[0] in {202, 409}
    late = json.dumps({"epoch": 0, "slot": 0}).encode()
    assert ask("POST", "/v1/audit/results", late, BEARER)[0] == 409


def test_status_and_what_is_not_there_yet(ask: Ask):
    status, answer = ask("GET", "/v1/status")
    assert status == 200
    assert json.loads(answer)["member"] == 0
    for path in (
        "/v1/consensus/latest",
        "/v1/consensus/30",
        "/v1/epochs/0/report",
        "/v1/epochs/0/leaf/1",
        "/v1/epochs/0/data",
        "/v1/beacon/599",
        "/v1/nodes",
        "/v1/nodes/1",
        "/v1/committee/changes",
        "/v1/nothing",
    ):
        assert ask("GET", path)[0] == 404, path
    assert ask("PUT", "/v1/status")[0] == 405


def test_there_is_no_evidence_yet(ask: Ask):
    assert ask("GET", "/v1/evidence") == (200, b"\x80")


def test_a_proof_of_another_network_is_refused(ask: Ask):
    net = make_network()
    other = net.sign(replace(net.consensus, users=7))
    proof = DoubleConsensus.of(net.sign(net.consensus), other)
    status, answer = ask("POST", "/v1/evidence", proof.encode())
    assert status == 400, answer
    assert ask("GET", "/v1/evidence") == (200, b"\x80")


def test_the_beacon_leads_to_the_anchor(ask: Ask, network: Network):
    status, value = ask("GET", "/v1/beacon/3")
    assert status == 200
    assert value == network.beacon.value(3)
    assert keccak256(ask("GET", "/v1/beacon/0")[1]) == network.beacon.anchor


def test_receipts_get_a_code_each(ask: Ask, network: Network):
    deployment = network.deployment
    domain = qnet_domain(deployment.chain_id, deployment.address("ReportOracle"))
    key = ReceiptKey.generate()

    def receipt(epoch: int, slot: int) -> bytes:
        body = LinkReceipt(epoch, slot, 70_001, 70_002, Side.SENDER, 16, bytes(32))
        return body.sign(key, domain).encode()

    items = [receipt(0, 0), receipt(90, 0), receipt(1, 1)]
    status, answer = ask("POST", "/v1/receipts", cbor.dumps(items))
    assert status == 200
    codes = cbor.loads(answer, max_bytes=100)
    assert isinstance(codes, list)
    assert codes[:2] == [2, 6]
    assert codes[2] in {2, 4}
    assert ask("POST", "/v1/receipts", cbor.dumps([items[0]] * 513))[0] == 400


def test_a_descriptor_of_nobody_is_refused(ask: Ask):
    stranger = NodeKeys.make(77, Role.RELAY).descriptor()
    status, answer = ask("POST", "/v1/descriptors", stranger.encode())
    assert status == 409
    assert json.loads(answer)["error"]["code"] == "Q0920"
