import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.api.schemas import parse_results, slot_work_json
from ledger.domain.audits import Assignment
from ledger.service.audit_service import SlotWork as MemberWork
from node.accounting.assignments import (
    MAX_PROBES,
    MAX_WORK_BYTES,
    Burst,
    SlotWork,
    Target,
    decode_work,
    encode_results,
)
from node.accounting.auditor import Probe
from qnet.errors import DecodeError
from qnet.messages.audit import MAX_TARGETS

WORK = SlotWork(12, 3, 1_790_000_015, (Target(4, 5), Target(6, None)), (6,), 1 << 20)
MEMBERS_WORK = MemberWork(
    epoch=12,
    slot=3,
    ends_at=1_790_000_015,
    targets=(Assignment(4, 5), Assignment(6, None)),
    roles={4: "relay", 6: "exit"},
    capacity=(6,),
    burst_bytes=1 << 20,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [*("epoch", "slot", "slot_ends_at", "targets"), *("capacity", "index", "control")]
            ),
            inner,
        )
    ),
    max_leaves=12,
)


def changed(**changes):
    return json.dumps(slot_work_json(MEMBERS_WORK) | changes).encode()


def test_reads_what_the_member_writes():
    assert decode_work(changed()) == WORK
    assert WORK.key == (12, 3)


def test_the_member_reads_what_the_auditor_writes():
    probes = {6: [Probe(None, control_ok=True), Probe(41_200)], 4: [Probe(None)], 9: []}
    body = parse_results(encode_results(WORK, probes, {6: Burst(1 << 20, 83_000)}))
    assert (body.epoch, body.slot) == WORK.key
    assert [item.target for item in body.results] == [4, 6]
    assert [(p.micros, p.control_ok) for p in body.results[1].probes] == [
        (None, True),
        (41_200, None),
    ]
    assert [(b.target, b.bytes, b.micros) for b in body.capacity] == [(6, 1 << 20, 83_000)]


def test_results_stay_within_the_members_bounds():
    body = parse_results(encode_results(WORK, {4: [Probe(1 << 40)] * 100}, {}))
    assert len(body.results[0].probes) == MAX_PROBES
    assert body.results[0].probes[0].micros == 0xFFFFFFFF


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": -1},
        {"epoch": 1 << 32},
        {"epoch": True},
        {"epoch": 1.0},
        {"epoch": None},
        {"slot": 24},
        {"slot_ends_at": "soon"},
        {"targets": None},
        {"targets": {}},
        {"targets": [4]},
        {"targets": [{"index": 0, "control": None}]},
        {"targets": [{"index": 4, "control": 4}]},
        {"targets": [{"index": 4, "control": 0}]},
        {"targets": [{"index": 4, "control": "5"}]},
        {"targets": [{"index": 4, "control": 5}, {"index": 4, "control": 6}]},
        {"capacity": [6, 6]},
        {"capacity": [0]},
        {"capacity": list(range(1, MAX_TARGETS + 2))},
        {"burst_bytes": 0},
        {"burst_bytes": 1 << 32},
    ],
    ids=str,
)
def test_refuses_what_is_out_of_bounds(changes):
    with pytest.raises(DecodeError):
        decode_work(changed(**changes))


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b"9" * 10_000, b" " * (MAX_WORK_BYTES + 1)],
    ids=["empty", "list", "null", "not text", "deep", "a long number", "long"],
)
def test_refuses_what_is_no_assignment(data):
    with pytest.raises(DecodeError):
        decode_work(data)


@given(json_values)
def test_any_json_decodes_or_is_refused(value):
    try:
        decode_work(json.dumps(value).encode())
    except DecodeError:
        return


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    with pytest.raises(DecodeError):
        decode_work(data)
