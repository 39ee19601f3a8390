import json

import pytest

from qnet.messages.audit import AuditReveal
from qnet.messages.consensus import CommitteeTrust, SignedConsensus
from qnet.messages.descriptor import decode_descriptor
from qnet.messages.evidence import DoubleConsensus
from qnet.messages.peer import SignedBody
from qnet.messages.receipt import SignedReceipt
from qnet.messages.succession import CHANGE_TYPE, CommitteeHistory, SignedChange
from tests.qnet.messages.typed_data import oracle_digest
from tests.qnet.messages.vectors import FOLDER, SOURCE, VECTORS


def load(name: str) -> dict[str, object]:
    value = json.loads((FOLDER / f"{name}.json").read_text())
    assert isinstance(value, dict)
    return value


def raw(vector: dict[str, object], name: str) -> bytes:
    return bytes.fromhex(str(vector[name])[2:])


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_are_reproduced(name: str) -> None:
    assert load(name) == {"source": SOURCE, **VECTORS[name]()}


def test_no_vector_is_left_over() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(VECTORS)


def test_wires_verify_from_the_file_alone() -> None:
    descriptor = load("descriptor")
    assert decode_descriptor(raw(descriptor, "wire")).descriptor.node_id == raw(
        descriptor, "node_id"
    )
    consensus = load("consensus")
    signers = consensus["signers"]
    assert isinstance(signers, list)
    trust = CommitteeTrust(
        int(str(consensus["chain_id"])),
        raw(consensus, "committee"),
        tuple(bytes.fromhex(signer[2:]) for signer in signers),
        int(str(consensus["quorum"])),
    )
    assert SignedConsensus.decode(raw(consensus, "wire"), trust=trust).hash == raw(
        consensus, "hash"
    )
    receipt = load("receipt")
    SignedReceipt.decode(raw(receipt, "wire")).verify(
        raw(receipt, "domain"), raw(receipt, "address")
    )
    audit = load("audit")
    AuditReveal.decode(raw(audit, "wire")).verify(
        raw(audit, "domain"), bytes.fromhex(signers[1][2:])
    )
    peer = load("peer")
    SignedBody.decode(raw(peer, "wire")).verify(
        domain=raw(peer, "domain"), path=str(peer["path"]), recipient=raw(peer, "recipient")
    )


def test_a_change_and_a_proof_verify_from_the_file_alone() -> None:
    change = load("succession")
    before = change["signers_before"]
    assert isinstance(before, list)
    trust = CommitteeTrust(
        int(str(change["chain_id"])),
        raw(change, "committee"),
        tuple(bytes.fromhex(signer[2:]) for signer in before),
        int(str(change["quorum_before"])),
    )
    followed = CommitteeHistory(trust).extended(SignedChange.decode(raw(change, "wire")))
    assert followed.newest.hash == raw(change, "hash")
    proof = DoubleConsensus.decode(raw(load("evidence"), "wire"))
    proof.verify(trust)
    assert proof.culprits == (1, 2)


def test_wallets_sign_a_change_as_we_do() -> None:
    vector = load("succession")
    values = (vector["valid_from"], raw(vector, "hash_before"), vector["signers"], vector["quorum"])
    digest = oracle_digest(
        CHANGE_TYPE,
        values,
        chain_id=int(str(vector["chain_id"])),
        contract=raw(vector, "committee"),
    )
    assert digest == raw(vector, "digest")
