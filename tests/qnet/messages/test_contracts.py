"""The deployed contracts compute what our messages compute."""

from dataclasses import replace

import pytest

from qnet.chain.errors import ContractError
from qnet.eip712 import qnet_domain
from qnet.messages.consensus import CommitteeTrust, join_signatures, sign_consensus
from qnet.messages.report import EpochReport, NodeLeaf, pack_slot_p
from tests.support.signed_network import make_network

pytestmark = pytest.mark.chain

REPORT = EpochReport(
    epoch=4,
    attempt=2,
    params_hash=b"\x01" * 32,
    nodes_root=b"\x02" * 32,
    evidence_root=b"\x03" * 32,
    audit_root=b"\x04" * 32,
    total_reward_wei=10**22,
    node_count=8,
    data_hash=b"\x05" * 32,
    previous_hash=bytes(32),
)
LEAF = NodeLeaf(4, 7, 10**21, 10**22, pack_slot_p((1000, 1, 0)), 10**6, 250_000, 10**20, 10**21, 3)


async def test_report_digest_and_leaf_hash(chain) -> None:
    oracle = chain.contracts.oracle
    domain = qnet_domain(31337, oracle.address)
    assert await oracle._read("reportDigest", REPORT.values()) == REPORT.digest(domain)
    assert await oracle._read("leafHash", LEAF.values()) == LEAF.hash(31337, oracle.address)


async def test_consensus_digest_and_quorum(chain, network) -> None:
    committee = chain.contracts.committee
    consensus = replace(make_network().consensus, committee=committee.address)
    expected = await committee._read("consensusDigest", consensus.valid_after, consensus.hash)
    assert consensus.digest == expected
    trust = CommitteeTrust(
        31337, committee.address, tuple(key.address for key in network.member_signers), 3
    )
    parts = {i: sign_consensus(consensus, network.member_signers[i]) for i in (0, 2, 3)}
    quorum = join_signatures(parts)
    trust.check_signatures(consensus.digest, *quorum)
    await committee.check_quorum(consensus.digest, *quorum)
    with pytest.raises(ContractError):
        await committee.check_quorum(consensus.digest, quorum[0] | 2, quorum[1])
