import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnet.crypto.keys import keccak256
from qnet.errors import LocalProtocolError
from qnet.merkle import MAX_PROOF_HASHES, StandardTree, standard_leaf, verify

REPOSITORY = Path(__file__).parents[2]
VECTORS = json.loads((REPOSITORY / "tests/vectors/merkle.json").read_text())
ORACLE = REPOSITORY / "tests/support/merkle_oracle.js"
PACKAGE = REPOSITORY / "node_modules/@openzeppelin/merkle-tree"

leaf_lists = st.lists(st.binary(max_size=40).map(standard_leaf), min_size=1, max_size=40)


def encode_leaf(number: int) -> bytes:
    return number.to_bytes(32, "big")


@pytest.mark.parametrize("vector", VECTORS["trees"], ids=lambda vector: str(vector["count"]))
def test_equals_the_committed_vectors(vector):
    leaves = [standard_leaf(encode_leaf(number)) for number in range(vector["count"])]
    tree = StandardTree(leaves)
    assert tree.root.hex() == vector["root"]
    for index, proof in enumerate(vector["proofs"]):
        assert [node.hex() for node in tree.proof(index)] == proof


@pytest.mark.skipif(not PACKAGE.is_dir(), reason="npm packages are not installed")
def test_vectors_are_what_the_npm_package_computes():
    node = shutil.which("node")
    assert node is not None
    counts = [str(vector["count"]) for vector in VECTORS["trees"]]
    done = subprocess.run(
        [node, str(ORACLE), *counts], capture_output=True, check=True, cwd=REPOSITORY, timeout=30
    )
    assert json.loads(done.stdout) == VECTORS["trees"]


@given(leaf_lists)
def test_every_leaf_is_proved(leaves):
    tree = StandardTree(leaves)
    for index, leaf in enumerate(leaves):
        assert verify(tree.root, leaf, tree.proof(index))


@given(leaf_lists, st.binary(max_size=40))
def test_no_other_leaf_is_proved(leaves, stranger):
    leaf = standard_leaf(b"stranger" + stranger)
    tree = StandardTree(leaves)
    for index in range(len(leaves)):
        assert not verify(tree.root, leaf, tree.proof(index))


@given(leaf_lists, st.data())
def test_a_changed_proof_proves_nothing(leaves, data):
    tree = StandardTree(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = tree.proof(index)
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        bit = data.draw(st.integers(0, 255))
        flipped = (int.from_bytes(proof[place], "big") ^ 1 << bit).to_bytes(32, "big")
        changed = [*proof[:place], flipped, *proof[place + 1 :]]
        assert not verify(tree.root, leaves[index], changed)
    assert not verify(tree.root, leaves[index], [*proof, tree.root])


@given(leaf_lists, st.data())
def test_the_order_of_leaves_does_not_change_the_root(leaves, data):
    shuffled = data.draw(st.permutations(leaves))
    assert StandardTree(shuffled).root == StandardTree(leaves).root


def test_inner_nodes_are_no_leaves():
    leaves = [standard_leaf(encode_leaf(number)) for number in range(2)]
    tree = StandardTree(leaves)
    preimage = b"".join(sorted(leaves))
    assert keccak256(preimage) == tree.root
    assert not verify(tree.root, standard_leaf(preimage), [])


def test_a_tree_without_leaves_is_refused():
    with pytest.raises(LocalProtocolError, match="at least one leaf"):
        StandardTree([])


def test_a_leaf_of_wrong_size_is_refused():
    with pytest.raises(LocalProtocolError, match="32 bytes"):
        StandardTree([bytes(31)])


@pytest.mark.parametrize("index", [-1, 2])
def test_a_proof_of_a_missing_leaf_is_refused(index):
    with pytest.raises(LocalProtocolError, match="no leaf"):
        StandardTree([bytes(32), bytes(32)]).proof(index)


def test_overlong_and_malformed_proofs_are_refused():
    leaf = bytes(32)
    assert not verify(leaf, leaf, [leaf] * (MAX_PROOF_HASHES + 1))
    assert not verify(leaf, leaf, [bytes(31)])
    assert verify(leaf, leaf, [])
