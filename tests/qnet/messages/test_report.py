from dataclasses import replace

import pytest
from eth_abi import encode
from eth_utils import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.eip712 import qnet_domain
from qnet.errors import DecodeError
from qnet.messages.report import (
    NO_REPORT,
    REPORT_TYPE,
    SLOT_P_MAX,
    AuditLeaf,
    EpochReport,
    LinkLeaf,
    NodeLeaf,
    pack_slot_p,
    receipt_proof,
    unpack_slot_p,
)
from tests.qnet.messages.typed_data import oracle_digest
from tests.support.signed_network import CHAIN_ID, ORACLE

REPORT = EpochReport(
    4, 1, b"\1" * 32, b"\2" * 32, NO_REPORT, b"\3" * 32, 10**22, 8, b"\4" * 32, b"\5" * 32
)
LEAF = NodeLeaf(
    4, 2, 10**21, 10**21, pack_slot_p((1023, 512, 0)), 900_000, 260_000, 10**20, 10**21, 0
)
words = st.integers(0, (1 << 256) - 1)
u32 = st.integers(0, (1 << 32) - 1)
leaves = st.builds(NodeLeaf, u32, u32, words, words, words, u32, u32, words, words, words)
u16 = st.integers(0, (1 << 16) - 1)
u64 = st.integers(0, (1 << 64) - 1)
hashes = st.binary(min_size=32, max_size=32)
link_leaves = st.builds(LinkLeaf, u32, u16, u32, u32, u64, u64, u64, hashes, hashes)
lists = st.lists(u32, max_size=16).map(tuple)
audit_leaves = st.builds(AuditLeaf, u32, u16, u32, lists, lists, lists)
LINK_KIND = "(uint32,uint16,uint32,uint32,uint64,uint64,uint64,bytes32,bytes32)"
AUDIT_KIND = "(uint32,uint16,uint32,uint32[],uint32[],uint32[])"


def abi_leaf(kind: int, type_: str, leaf: LinkLeaf | AuditLeaf) -> bytes:
    types = ["uint8", "uint256", "address", type_]
    return keccak(keccak(encode(types, (kind, CHAIN_ID, "0x" + ORACLE.hex(), leaf.values()))))


def test_report_digest_is_the_typed_data_of_eth_account() -> None:
    expected = oracle_digest(REPORT_TYPE, REPORT.values(), chain_id=CHAIN_ID, contract=ORACLE)
    assert REPORT.digest(qnet_domain(CHAIN_ID, ORACLE)) == expected


@settings(max_examples=50)
@given(leaves)
def test_leaf_hash_is_the_abi_encoding_hashed_twice(leaf: NodeLeaf) -> None:
    types = ["uint8", "uint256", "address", "uint32", "uint32", "uint256", "uint256", "uint256"]
    types += ["uint32", "uint32", "uint256", "uint256", "uint256"]
    encoded = encode(types, (1, CHAIN_ID, "0x" + ORACLE.hex(), *leaf.values()))
    assert leaf.hash(CHAIN_ID, ORACLE) == keccak(keccak(encoded))


def test_leaf_hash_binds_chain_and_oracle() -> None:
    hashes = {LEAF.hash(CHAIN_ID, ORACLE), LEAF.hash(1, ORACLE), LEAF.hash(CHAIN_ID, b"\1" * 20)}
    assert len(hashes) == 3


@settings(max_examples=50)
@given(link_leaves, audit_leaves)
def test_link_and_audit_leaves_are_abi_structures_hashed_twice(
    link: LinkLeaf, audit: AuditLeaf
) -> None:
    assert link.hash(CHAIN_ID, ORACLE) == abi_leaf(2, LINK_KIND, link)
    assert audit.hash(CHAIN_ID, ORACLE) == abi_leaf(3, AUDIT_KIND, audit)


def test_a_receipt_is_named_by_digest_and_signature() -> None:
    assert receipt_proof(b"\1" * 32, b"\2" * 65) == keccak(b"\1" * 32 + b"\2" * 65)


@given(leaves, link_leaves, audit_leaves)
def test_leaf_json_round_trips(leaf: NodeLeaf, link: LinkLeaf, audit: AuditLeaf) -> None:
    assert NodeLeaf.from_json(leaf.to_json()) == leaf
    assert LinkLeaf.from_json(link.to_json()) == link
    assert AuditLeaf.from_json(audit.to_json()) == audit


@pytest.mark.parametrize("value", ["7", [7], ["07"], ["7"] * 257, [["7"]], None], ids=str)
def test_other_lists_are_refused(value: object) -> None:
    audit = AuditLeaf(3, 0, 7, (1,), (4,), (4,))
    with pytest.raises(DecodeError):
        AuditLeaf.from_json({**audit.to_json(), "auditors": value})


def test_report_json_round_trips() -> None:
    value = REPORT.to_json()
    assert value["total_reward_wei"] == str(10**22)
    assert value["params_hash"] == "0x" + "01" * 32
    assert EpochReport.from_json(value) == REPORT


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 4},
        {"epoch": "-1"},
        {"epoch": "04"},
        {"epoch": str(1 << 32)},
        {"epoch": ""},
        {"epoch": "\u0664"},
        {"total_reward_wei": str(1 << 128)},
        {"data_hash": "0x" + "1" * 63},
        {"data_hash": "0x" + "AB" * 32},
        {"data_hash": "04" * 32},
        {"data_hash": "0x" + "zz" * 32},
        {"data_hash": "1" * 100},
        {"more": "1"},
    ],
    ids=str,
)
def test_other_json_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(DecodeError):
        EpochReport.from_json({**REPORT.to_json(), **change})


@given(
    st.recursive(
        st.none() | st.text(max_size=100) | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_noise_is_refused(value: object) -> None:
    with pytest.raises(DecodeError):
        NodeLeaf.from_json(value)
    with pytest.raises(DecodeError):
        EpochReport.from_json({**REPORT.to_json(), "epoch": value, "extra": value})


@given(st.lists(st.integers(0, SLOT_P_MAX), max_size=24).map(tuple))
def test_slot_performance_packs(values: tuple[int, ...]) -> None:
    word = pack_slot_p(values)
    assert word < 1 << 240
    assert unpack_slot_p(word, len(values)) == values


@pytest.mark.parametrize("values", [(0,) * 25, (1024,), (-1,)])
def test_slot_performance_is_bounded(values: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="24 values of 10 bits"):
        pack_slot_p(values)


def test_values_follow_the_contract() -> None:
    assert replace(LEAF, node=9).values()[1] == 9
    assert REPORT.values()[:2] == (4, 1)
    assert len(REPORT.values()) == 10
