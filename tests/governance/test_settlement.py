import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.errors import MismatchError
from governance.settlement import MAX_PROOF, decode_leaf, fetch_leaf, last_final_epoch
from qnet.errors import DecodeError, NetworkError, NotFoundError
from qnet.merkle import StandardTree
from qnet.messages.report import NodeLeaf

CHAIN_ID, ORACLE = 31337, b"\x0a" * 20
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=20,
)


def leaf(node):
    return NodeLeaf(3, node, 10**21, 10**21, 0, 10**6, 250_000, 5, 5 * node, 0)


@pytest.fixture
def tree():
    return StandardTree([leaf(node).hash(CHAIN_ID, ORACLE) for node in range(1, 6)])


def answer(tree, node):
    proof = ["0x" + step.hex() for step in tree.proof(node - 1)]
    return {"leaf": leaf(node).to_json(), "proof": proof, "report_hash": "0x" + "00" * 32}


@pytest.mark.parametrize("node", range(1, 6))
def test_a_true_leaf_passes(tree, node):
    found = decode_leaf(answer(tree, node))
    assert found.leaf == leaf(node)
    found.check(chain_id=CHAIN_ID, oracle=ORACLE, root=tree.root)


def test_a_member_that_lies_is_caught(tree):
    lie = answer(tree, 2)
    lie["leaf"]["cum_operator_wei"] = "999"
    with pytest.raises(MismatchError, match="proof of node 2"):
        decode_leaf(lie).check(chain_id=CHAIN_ID, oracle=ORACLE, root=tree.root)
    with pytest.raises(MismatchError):
        decode_leaf(answer(tree, 2)).check(chain_id=1, oracle=ORACLE, root=tree.root)


@given(json_values)
def test_any_json_is_a_leaf_or_a_decode_error(value):
    with pytest.raises(DecodeError):
        decode_leaf(value)


@given(st.lists(st.text(max_size=70) | st.integers(), min_size=1, max_size=4))
def test_any_proof_is_bytes_or_a_decode_error(steps):
    try:
        found = decode_leaf({"leaf": leaf(1).to_json(), "proof": steps})
    except DecodeError:
        return
    assert all(len(step) == 32 for step in found.proof)


def test_an_endless_proof_is_refused():
    steps = ["0x" + "11" * 32] * (MAX_PROOF + 1)
    with pytest.raises(DecodeError, match="65 steps"):
        decode_leaf({"leaf": leaf(1).to_json(), "proof": steps})


@pytest.mark.chain
async def test_without_reports_and_members_each_says_why(contracts):
    with pytest.raises(NotFoundError, match="no report is final"):
        await last_final_epoch(contracts)
    with pytest.raises(NetworkError, match="no member proved") as caught:
        await fetch_leaf(contracts, 0, 1)
    assert "member 0: http://x" in caught.value.why
