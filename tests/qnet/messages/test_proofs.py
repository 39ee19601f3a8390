import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.errors import DecodeError
from qnet.messages.evidence_file import MAX_FILE_BYTES, EvidenceFile
from qnet.messages.proofs import (
    KINDS,
    BadLeafProof,
    BadLinkProof,
    BadMedianProof,
    ChargeEvidence,
    ConsensusesProof,
    DuplicateAuditProof,
    DuplicateLinkProof,
    DuplicateNodeProof,
    JailEvidence,
    Proven,
    ReceiptsProof,
    RegressionProof,
    ReportsProof,
    SignedReport,
)
from qnet.messages.receipt import LinkReceipt, Side, SignedReceipt
from qnet.messages.report import AuditLeaf, EpochReport, LinkLeaf, NodeLeaf

u16, u32, u64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
u128, u256 = (st.integers(0, 2**bits - 1) for bits in (128, 256))
word, signature = st.binary(min_size=32, max_size=32), st.binary(min_size=65, max_size=65)
siblings = st.lists(word, max_size=4).map(tuple)
u32s = st.lists(u32, max_size=4).map(tuple)
node_leaf = st.builds(NodeLeaf, u32, u32, u256, u256, u256, u32, u32, u256, u256, u256)
link_leaf = st.builds(LinkLeaf, u32, u16, u32, u32, u64, u64, u64, word, word)
audit_leaf = st.builds(AuditLeaf, u32, u16, u32, u32s, u32s, u32s)
node, link, audit = (
    st.builds(Proven, leaf, siblings) for leaf in (node_leaf, link_leaf, audit_leaf)
)
receipt = st.builds(
    SignedReceipt,
    st.builds(LinkReceipt, u32, u16, u32, u32, st.sampled_from(Side), u64, word),
    signature,
)
report = st.builds(
    SignedReport,
    st.builds(EpochReport, u32, u32, word, word, word, word, u128, u32, word, word),
    signature,
)
STRATEGIES = {
    ReceiptsProof: st.builds(ReceiptsProof, receipt, receipt),
    ReportsProof: st.builds(ReportsProof, u256, report, report),
    ConsensusesProof: st.builds(ConsensusesProof, u256, u64, word, signature, word, signature),
    BadLeafProof: st.builds(
        BadLeafProof, u32, node, st.none() | node, st.lists(u256, max_size=3).map(tuple)
    ),
    BadLinkProof: st.builds(BadLinkProof, u32, link, st.none() | receipt, st.none() | receipt),
    BadMedianProof: st.builds(BadMedianProof, u32, audit, st.none() | node, st.none() | node),
    DuplicateNodeProof: st.builds(DuplicateNodeProof, u32, node, node),
    DuplicateLinkProof: st.builds(DuplicateLinkProof, u32, link, link),
    DuplicateAuditProof: st.builds(DuplicateAuditProof, u32, audit, audit),
    RegressionProof: st.builds(RegressionProof, u32, node, node),
    ChargeEvidence: st.builds(ChargeEvidence, u32, word, u256, signature),
    JailEvidence: st.builds(JailEvidence, st.lists(node, min_size=5, max_size=5).map(tuple)),
}
evidence = st.one_of(*STRATEGIES.values())
files = st.builds(EvidenceFile, u64, st.binary(min_size=20, max_size=20), evidence)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=20,
)


def test_every_kind_is_tested():
    assert set(KINDS.values()) == set(STRATEGIES)


@given(files)
def test_a_file_reads_as_it_was_written(file):
    assert EvidenceFile.decode(file.encode()) == file


@given(st.data(), files)
def test_any_value_in_any_place_is_evidence_or_a_decode_error(data, file):
    document = json.loads(file.encode())
    place = document
    while True:
        name = data.draw(st.sampled_from(sorted(place)))
        if isinstance(place[name], dict) and data.draw(st.booleans()):
            place = place[name]
            continue
        place[name] = data.draw(json_values)
        break
    try:
        EvidenceFile.decode(json.dumps(document).encode())
    except DecodeError:
        return


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_a_decode_error(data):
    with pytest.raises(DecodeError):
        EvidenceFile.decode(data)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("schema", "qnet.evidence/2", "schema"),
        ("kind", "rumour", "unknown kind"),
        ("court", "0x1234", "20 bytes"),
        ("court", "12", "hexadecimal"),
        ("chain_id", "-1", "unsigned"),
        ("chain_id", str(2**256), "unsigned"),
    ],
)
def test_heads_that_are_refused(field, value, told):
    file = EvidenceFile(1, bytes(20), ChargeEvidence(0, bytes(32), 1, bytes(65)))
    document = json.loads(file.encode()) | {field: value}
    with pytest.raises(DecodeError, match=told):
        EvidenceFile.decode(json.dumps(document).encode())


def test_four_leaves_do_not_jail():
    leaf = Proven(NodeLeaf(0, 1, 0, 0, 0, 0, 0, 0, 0, 0), ())
    file = EvidenceFile(1, bytes(20), JailEvidence((leaf,) * 4))
    with pytest.raises(DecodeError, match="4 leaves"):
        EvidenceFile.decode(file.encode())


def test_a_file_has_an_end():
    with pytest.raises(DecodeError, match="1 MiB"):
        EvidenceFile.decode(b" " * (MAX_FILE_BYTES + 1))


def test_missing_parts_are_empty_for_the_court():
    proof = Proven(NodeLeaf(1, 2, 0, 0, 0, 0, 0, 0, 0, 0), ())
    assert BadLeafProof(1, proof, None, (5,)).arguments() == (
        1,
        proof.values(),
        ((0,) * 10, ()),
        (5,),
    )
    link = Proven(LinkLeaf(1, 0, 1, 2, 3, 3, 3, bytes(32), bytes(32)), ())
    empty = (0, 0, 0, 0, 0, 0, bytes(32))
    assert BadLinkProof(1, link, None, None).arguments()[3:] == (empty, b"", empty, b"")
