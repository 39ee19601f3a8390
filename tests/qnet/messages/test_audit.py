from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.crypto.keys import ReceiptKey, keccak256
from qnet.eip712 import qnet_domain
from qnet.errors import CryptoError, DecodeError
from qnet.messages.audit import (
    AUDIT_COMMIT_TYPE,
    AUDIT_RESULT_TYPE,
    CAPACITY_RESULT_TYPE,
    LOST,
    NO_PROBES,
    AuditCommit,
    AuditResult,
    AuditReveal,
    CapacityResult,
    probe_root,
)
from tests.qnet.messages.typed_data import oracle_digest
from tests.support.signed_network import CHAIN_ID, ORACLE

KEY = ReceiptKey.generate()
DOMAIN = qnet_domain(CHAIN_ID, ORACLE)


def result(target: int, **changes: object) -> AuditResult:
    base = AuditResult(3, 5, 1, target, 4, 3, 120, probe_root([1000, 2000, LOST, 900]))
    return replace(base, **changes)


def reveal(results: tuple[AuditResult, ...], bursts: tuple[CapacityResult, ...]) -> AuditReveal:
    return AuditReveal(
        3,
        5,
        1,
        b"\x05" * 32,
        tuple(one.sign(KEY, DOMAIN) for one in results),
        tuple(one.sign(KEY, DOMAIN) for one in bursts),
    )


REVEAL = reveal(
    (result(2), result(5)),
    (CapacityResult(3, 1, 2, 1 << 20, 250_000), CapacityResult(3, 1, 9, 1 << 20, 1)),
)
WIRE = REVEAL.encode()


def test_round_trip_and_signatures() -> None:
    decoded = AuditReveal.decode(WIRE)
    assert decoded == REVEAL
    assert decoded.commitment == keccak256(WIRE)
    decoded.verify(DOMAIN, KEY.address)
    with pytest.raises(CryptoError):
        decoded.verify(DOMAIN, ReceiptKey.generate().address)


def test_a_reveal_without_results_is_one() -> None:
    empty = reveal((), ())
    assert AuditReveal.decode(empty.encode()) == empty


def test_each_kind_of_signature_is_checked() -> None:
    stranger = ReceiptKey.generate()
    bad_burst = REVEAL.capacities[0].result.sign(stranger, DOMAIN)
    with pytest.raises(CryptoError):
        replace(REVEAL, capacities=(bad_burst,)).verify(DOMAIN, KEY.address)


def test_digests_are_the_typed_data_of_eth_account() -> None:
    commit = AuditCommit(3, 5, 1, REVEAL.commitment)
    probes, burst = result(2), REVEAL.capacities[0].result
    for type_string, record, values in (
        (AUDIT_COMMIT_TYPE, commit, (3, 5, 1, REVEAL.commitment)),
        (AUDIT_RESULT_TYPE, probes, (3, 5, 1, 2, 4, 3, 120, probes.probe_root)),
        (CAPACITY_RESULT_TYPE, burst, (3, 1, 2, 1 << 20, 250_000)),
    ):
        expected = oracle_digest(type_string, values, chain_id=CHAIN_ID, contract=ORACLE)
        assert record.digest(DOMAIN) == expected


def test_rate_of_a_burst() -> None:
    assert CapacityResult(3, 1, 2, 1_000_000, 1_000_000).kbps == 8000
    assert CapacityResult(3, 1, 2, 1, 1_000_000).kbps == 0


def test_probe_root_depends_on_every_probe() -> None:
    assert probe_root([]) == NO_PROBES
    roots = {probe_root(rtts) for rtts in ([1], [2], [1, 2], [2, 1], [1, LOST])}
    assert len(roots) == 5
    assert probe_root([LOST]) == probe_root([LOST + 5])


@pytest.mark.parametrize(
    "bad",
    [
        reveal((result(5), result(2)), ()),
        reveal((result(2), result(2)), ()),
        reveal((result(2, returned=5),), ()),
        reveal((result(0),), ()),
        reveal((), (CapacityResult(3, 1, 0, 1, 1),)),
        reveal((), (CapacityResult(3, 1, 2, 1, 0),)),
        reveal((), (CapacityResult(3, 1, 4, 1, 1), CapacityResult(3, 1, 2, 1, 1))),
        replace(REVEAL, slot=24),
    ],
)
def test_results_out_of_bounds_are_refused(bad: AuditReveal) -> None:
    with pytest.raises(DecodeError):
        AuditReveal.decode(bad.encode())


@pytest.mark.parametrize("data", [b"", b"\x02" + WIRE[1:], WIRE[:-1], WIRE + b"\0"])
def test_malformed_wire_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        AuditReveal.decode(data)


def test_large_counts_are_refused_unread() -> None:
    flood = WIRE[:43] + b"\xff" * 8 + WIRE[51:]
    with pytest.raises(DecodeError, match="out of bounds"):
        AuditReveal.decode(flood)


@given(st.binary(max_size=300))
def test_never_crashes_on_noise(data: bytes) -> None:
    try:
        decoded = AuditReveal.decode(data)
    except DecodeError:
        return
    assert decoded.encode() == data


@settings(max_examples=150)
@given(st.integers(0, len(WIRE) - 1), st.integers(1, 255))
def test_flipped_bytes_change_the_commitment_or_are_refused(place: int, flip: int) -> None:
    mutated = bytearray(WIRE)
    mutated[place] ^= flip
    try:
        decoded = AuditReveal.decode(bytes(mutated))
    except DecodeError:
        return
    assert decoded.commitment != REVEAL.commitment
