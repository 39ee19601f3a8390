"""An honest report gives no proof; every lie gives one that names it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.blob import EpochData
from ledger.domain.claims import NO_LEAF, Claims, expected_leaf
from ledger.domain.disputes import (
    double_consensuses,
    double_receipts,
    double_reports,
    duplicates,
    find_wrong,
    signature_of,
)
from ledger.domain.report import recompute
from ledger.domain.state import NodeState
from qnet.merkle import verify
from qnet.messages.consensus import SignedConsensus, join_signatures, sign_consensus
from qnet.messages.evidence import DoubleConsensus, Statement
from qnet.messages.proofs import (
    BadLeafProof,
    BadLinkProof,
    BadMedianProof,
    DuplicateAuditProof,
    DuplicateLinkProof,
    DuplicateNodeProof,
    RegressionProof,
)
from qnet.messages.receipt import Side
from qnet.messages.report import AuditLeaf, pack_slot_p, unpack_slot_p
from tests.ledger.domain.material import (
    CHAIN_ID,
    DEVNET,
    DOMAIN,
    MEMBERS,
    ORACLE,
    QNET,
    both_sides,
    epoch_data,
    mixed_network,
    node_key,
    reveal,
    signed,
    small_network,
)
from tests.ledger.domain.test_report import (
    delegated_network,
    full_reveals,
    mix_receipts,
    some_receipts,
)
from tests.qnet.messages.vectors import the_consensus


def two_epochs() -> tuple[Claims, Claims, EpochData]:
    """Honest claims of epoch 3 and 4, and the data of epoch 4."""
    nodes = (*delegated_network()[:5], replace(small_network()[5], state=NodeState.JAILED))
    one = epoch_data(some_receipts(3), full_reveals(3), nodes=nodes)
    first = recompute(one.encode())
    two = epoch_data(
        some_receipts(4), full_reveals(4)[8:], epoch=4, before=first.after, nodes=nodes
    )
    return Claims.of(first, one), Claims.of(recompute(two.encode()), two), two


BEFORE, HONEST, DATA = two_epochs()
PART = range(5)


def test_an_honest_report_proves_nothing():
    assert HONEST.belong_to(recompute(DATA.encode()).report)
    assert not BEFORE.belong_to(recompute(DATA.encode()).report)
    assert find_wrong(HONEST, BEFORE, DATA) == []
    first = epoch_data(some_receipts(3), full_reveals(3))
    assert find_wrong(Claims.of(recompute(first.encode()), first), None, first) == []
    empty = epoch_data([], [])
    assert find_wrong(Claims.of(recompute(empty.encode()), empty), None, empty) == []


def test_a_report_with_mixes_proves_nothing_and_a_leaf_of_theirs_does():
    data = epoch_data(mix_receipts(3), [], nodes=mixed_network())
    result = recompute(data.encode())
    honest = Claims.of(result, data)
    assert honest.links
    assert find_wrong(honest, None, data) == []
    stray = replace(honest.links[0], node_from=4, node_to=5)
    (proof,) = find_wrong(replace(honest, links=(*honest.links, stray)), None, data)
    assert isinstance(proof, BadLinkProof)


@pytest.mark.parametrize("place", range(6))
def test_the_expected_leaf_is_the_honest_one(place):
    leaf = HONEST.nodes[place]
    assert expected_leaf(leaf, BEFORE.nodes[place], DATA) == leaf


def test_an_active_node_without_stake_keeps_its_reputation():
    nodes = list(DATA.snapshot.nodes)
    nodes[0] = replace(nodes[0], bond_end_wei=0)
    data = replace(DATA, snapshot=replace(DATA.snapshot, nodes=tuple(nodes)))
    leaf = expected_leaf(HONEST.nodes[0], BEFORE.nodes[0], data)
    assert (leaf.slot_p, leaf.w_ppm, leaf.reward_wei) == (0, 0, 0)
    assert leaf.rho_ppm == BEFORE.nodes[0].rho_ppm
    assert recompute(data.encode()).leaves[0] == leaf


def with_node(place: int, **changes: int) -> Claims:
    nodes = list(HONEST.nodes)
    nodes[place] = replace(nodes[place], **changes)
    return replace(HONEST, nodes=tuple(nodes))


def wrong(claims: Claims) -> list:
    found = find_wrong(claims, BEFORE, DATA)
    for proof in found:
        shown = getattr(proof, "current", None) if isinstance(proof, BadLeafProof) else None
        if shown is not None:
            root = claims._node_tree.root
            assert verify(root, shown.leaf.hash(CHAIN_ID, ORACLE), shown.proof)
    return found


FIELDS = ["bond_wei", "stake_wei", "reward_wei", "cum_operator_wei", "cum_pool_wei", "rho_ppm"]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5), st.sampled_from(FIELDS), st.integers(1, 10**6))
def test_every_wrong_number_is_a_bad_leaf(place, field, more):
    lie = with_node(place, **{field: getattr(HONEST.nodes[place], field) + more})
    (proof,) = wrong(lie)
    assert isinstance(proof, BadLeafProof)
    assert proof.current.leaf == lie.nodes[place]
    assert proof.previous is not None
    assert proof.previous.leaf == BEFORE.nodes[place]
    assert proof.parameters == tuple(DEVNET.to_map().values())


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": 5},
        {"w_ppm": 10**6 + 1},
        {"w_ppm": 10},
        {"slot_p": pack_slot_p((1001,) * 6)},
        {"slot_p": pack_slot_p((1000,) * 7)},
        {"node": 7},
        {"node": 0},
        {"cum_pool_wei": (1 << 256) - 1},
    ],
    ids=str,
)
def test_impossible_leaves_are_bad(changes):
    found = wrong(with_node(0, **changes))
    assert BadLeafProof in {type(proof) for proof in found}


def test_a_node_without_part_has_neither_slots_nor_work():
    for changes in ({"slot_p": 900}, {"w_ppm": 7}):
        (proof,) = wrong(with_node(5, **changes))
        assert isinstance(proof, BadLeafProof)


def test_falling_sums_are_a_regression_too():
    kinds = {type(proof) for proof in wrong(with_node(0, cum_operator_wei=1))}
    assert kinds == {BadLeafProof, RegressionProof}
    assert RegressionProof in {type(proof) for proof in wrong(with_node(1, cum_pool_wei=0))}


def test_a_node_new_to_the_reports_starts_from_nothing():
    leaf = expected_leaf(HONEST.nodes[0], None, DATA)
    assert leaf.cum_operator_wei + leaf.cum_pool_wei == leaf.reward_wei
    assert leaf == expected_leaf(
        HONEST.nodes[0], replace(NO_LEAF, rho_ppm=DEVNET.reputation_start_ppm), DATA
    )


def with_link(**changes: object) -> Claims:
    links = (replace(HONEST.links[0], **changes), *HONEST.links[1:])
    return replace(HONEST, links=links)


LINK = HONEST.links[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": 3},
        {"slot": 6},
        {"node_from": 0},
        {"node_to": 7},
        {"node_to": LINK.node_from},
        {"node_from": 4, "node_to": 1},
        {"node_from": 5, "node_to": 6},
        {"sent": 897, "matched": 896},
        {"sent": 896 << 1, "received": 896},
        {"matched": 0, "sent": 0, "received": 0},
        {"matched": LINK.matched - 1},
    ],
    ids=str,
)
def test_impossible_links_are_bad(changes):
    proofs = [proof for proof in wrong(with_link(**changes)) if isinstance(proof, BadLinkProof)]
    assert proofs[0].link.leaf == replace(LINK, **changes)


def test_a_link_is_held_against_the_receipts_it_names():
    more = LINK.sent * 2
    (proof,) = wrong(with_link(sent=more, received=more, matched=more))
    assert isinstance(proof, BadLinkProof)
    assert proof.sent is not None
    assert proof.sent.receipt.packets == LINK.sent
    assert proof.received is not None
    (proof,) = wrong(with_link(sent_proof=LINK.received_proof))
    assert proof.sent is not None
    assert proof.sent.receipt.side is Side.RECEIVER
    assert proof.received is None


def test_a_link_that_names_a_receipt_nobody_signed_is_bad():
    forged = signed(4, 0, 1, 2, Side.SENDER, 500).receipt.sign(node_key(9), DOMAIN)
    honest = both_sides(4, 0, 1, 2, 500)
    leaf_of = recompute(epoch_data(honest, [], epoch=4).encode()).links[0]
    from qnet.messages.report import receipt_proof

    named = receipt_proof(forged.receipt.digest(DOMAIN), forged.signature)
    lie = replace(HONEST, links=(replace(leaf_of, sent_proof=named),))
    data = replace(DATA, receipts=(forged, *honest))
    (proof,) = find_wrong(lie, BEFORE, data)
    assert isinstance(proof, BadLinkProof)
    assert (proof.sent, proof.received) == (forged, None)


def with_audit(**changes: object) -> Claims:
    audits = (replace(HONEST.audits[0], **changes), *HONEST.audits[1:])
    return replace(HONEST, audits=audits)


AUDIT = HONEST.audits[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": 3},
        {"slot": 6},
        {"target": 0},
        {"target": 7},
        {"auditors": ()},
        {"auditors": AUDIT.auditors[:1]},
        {"auditors": AUDIT.auditors[::-1]},
        {"sent": (0, 4, 4)},
        {"returned": (5, 4, 4)},
        {"returned": (0, 0, 4)},
    ],
    ids=str,
)
def test_wrong_audit_leaves_are_bad_medians(changes):
    found = [proof for proof in wrong(with_audit(**changes)) if isinstance(proof, BadMedianProof)]
    assert found[0].audit.leaf == replace(AUDIT, **changes)


def test_a_wrong_p_of_a_slot_is_a_bad_median():
    leaf = HONEST.nodes[0]
    slots = list(unpack_slot_p(leaf.slot_p, 6))
    slots[3] -= 1
    found = wrong(with_node(0, slot_p=pack_slot_p(tuple(slots))))
    (proof,) = [proof for proof in found if isinstance(proof, BadMedianProof)]
    assert (proof.audit.leaf.slot, proof.audit.leaf.target) == (3, 1)
    assert proof.previous is None


def test_a_carried_slot_is_held_against_the_slot_before():
    """With two results a slot is carried; slot 0 from the report before."""
    few = [reveal(4, slot, auditor, {1: (4, 4)}) for slot in (0, 1) for auditor in (0, 1)]
    nodes = DATA.snapshot.nodes
    data = epoch_data([], few, epoch=4, before=DATA.before, nodes=nodes)
    claims = Claims.of(recompute(data.encode()), data)
    targets = {(leaf.slot, leaf.target) for leaf in claims.audits}
    assert targets <= {(0, 1), (1, 1)}
    assert find_wrong(claims, BEFORE, data) == []
    for slot, _ in sorted(targets):
        slots = [900] * 6
        slots[slot] = 899
        first = replace(claims.nodes[0], slot_p=pack_slot_p(tuple(slots)))
        lie = replace(claims, nodes=(first, *claims.nodes[1:]))
        proofs = [p for p in find_wrong(lie, BEFORE, data) if isinstance(p, BadMedianProof)]
        assert (proofs[0].audit.leaf.slot, proofs[0].previous is not None) == (slot, slot == 0)
    absent = replace(BEFORE, participants=frozenset())
    assert find_wrong(claims, absent, data) == []


def test_duplicates_are_found_and_repetition_is_none():
    other = replace(HONEST.nodes[0], bond_wei=1)
    assert duplicates(replace(HONEST, nodes=(*HONEST.nodes, HONEST.nodes[0]))) == []
    (node,) = duplicates(replace(HONEST, nodes=(*HONEST.nodes, other)))
    assert isinstance(node, DuplicateNodeProof)
    assert {node.a.leaf, node.b.leaf} == {HONEST.nodes[0], other}
    (link,) = duplicates(replace(HONEST, links=(*HONEST.links, replace(LINK, matched=1))))
    assert isinstance(link, DuplicateLinkProof)
    (audit,) = duplicates(replace(HONEST, audits=(*HONEST.audits, replace(AUDIT, sent=(4,)))))
    assert isinstance(audit, DuplicateAuditProof)


def test_an_audit_of_a_node_without_part_proves_nothing():
    leaf = AuditLeaf(4, 0, 6, (0, 1, 2), (4, 4, 4), (4, 4, 4))
    known = [audit for audit in HONEST.audits if (audit.slot, audit.target) != (0, 6)]
    assert find_wrong(replace(HONEST, audits=(leaf, *known)), BEFORE, DATA) == []


def test_two_bodies_of_one_tuple_are_one_proof():
    bodies = [signed(3, 1, 1, 2, Side.SENDER, cells) for cells in (500, 900, 1300)]
    others = both_sides(3, 2, 1, 2, 100)
    (proof,) = double_receipts([*bodies, *others, *bodies])
    assert {proof.a, proof.b} < set(bodies)
    assert proof.a != proof.b
    assert double_receipts(others) == []


def test_who_signed_both_consensuses_is_shown_with_both_signatures():
    one = the_consensus()
    other = replace(one, users=one.users + 1)

    def by(consensus, members):
        parts = {i: sign_consensus(consensus, MEMBERS[i]) for i in members}
        return SignedConsensus(consensus, *join_signatures(parts))

    evidence = DoubleConsensus.of(by(one, (0, 1, 2)), by(other, (1, 2, 3)))
    proofs = double_consensuses(evidence)
    assert [proof.member for proof in proofs] == [1, 2]
    for proof in proofs:
        expected = {
            (found.hash, sign_consensus(found, MEMBERS[proof.member])) for found in (one, other)
        }
        assert {
            (proof.hash_a, proof.signature_a),
            (proof.hash_b, proof.signature_b),
        } == expected


def test_who_signed_two_reports_of_one_attempt_is_shown():
    report = recompute(DATA.encode()).report
    other = replace(report, total_reward_wei=7 * QNET)

    def by(found, members):
        digest = found.digest(DOMAIN)
        parts = {member: MEMBERS[member].sign(digest) for member in members}
        return Statement(digest, *join_signatures(parts))

    (proof,) = double_reports(report, by(report, (0, 2)), other, by(other, (1, 2, 3)))
    assert proof.member == 2
    assert proof.a.signature == MEMBERS[2].sign(report.digest(DOMAIN))
    assert proof.b.signature == signature_of(by(other, (1, 2, 3)), 2)
    again = replace(other, attempt=1)
    assert double_reports(report, by(report, (0,)), again, by(again, (0,))) == []
    assert double_reports(report, by(report, (0,)), report, by(report, (0,))) == []
