import json

import pytest

from qnet.messages.audit import AuditReveal
from qnet.messages.consensus import CommitteeTrust, SignedConsensus
from qnet.messages.descriptor import decode_descriptor
from qnet.messages.peer import SignedBody
from qnet.messages.receipt import SignedReceipt
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
