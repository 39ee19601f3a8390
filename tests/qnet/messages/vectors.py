"""Test vectors of the signed messages, from fixed keys.

``python -m tests.qnet.messages.vectors`` writes them anew; `test_vectors` recomputes them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from node.accounting.sampler import sample_root
from qnet.beacon import HashChain, draw, draw_order
from qnet.crypto.keys import ReceiptKey, SigningKey
from qnet.eip712 import qnet_domain
from qnet.messages.assembly import Network, RegistryEntry, build_consensus
from qnet.messages.audit import AuditResult, AuditReveal, CapacityResult, probe_root
from qnet.messages.consensus import (
    CommitteeTrust,
    Consensus,
    SignedConsensus,
    join_signatures,
    sign_consensus,
)
from qnet.messages.descriptor import (
    Descriptor,
    Role,
    SignedDescriptor,
    TicketKey,
    certify_online,
)
from qnet.messages.evidence import DoubleConsensus
from qnet.messages.peer import SignedBody
from qnet.messages.receipt import LinkReceipt, Side, bucket_index, bucket_round
from qnet.messages.report import (
    AuditLeaf,
    EpochReport,
    LinkLeaf,
    NodeLeaf,
    pack_slot_p,
    receipt_proof,
)
from qnet.messages.succession import CommitteeChange, SignedChange, sign_change
from qnet.messages.trust import NO_SIGNER
from qnet.parameters import NetworkParameters

FOLDER = Path(__file__).parents[2] / "vectors" / "messages"
SOURCE = "QNet reference implementation, qnet/messages; digests agree with eth-account"
CHAIN_ID = 31337
REGISTRY, COMMITTEE, ORACLE = b"\xee" * 20, b"\xc0" * 20, b"\x0a" * 20
PERIOD = 1_800_000_000
IDENTITY, ONLINE = SigningKey(b"\x01" * 32), SigningKey(b"\x02" * 32)
RECEIPT = ReceiptKey(b"\x03" * 32)
MEMBERS = tuple(ReceiptKey(bytes([0x10 + i]) * 32) for i in range(4))
BEACON_SEED = b"\x20" * 32

Vector = dict[str, object]


def text(data: bytes) -> str:
    return "0x" + data.hex()


def signed_descriptor() -> SignedDescriptor:
    until = PERIOD + 30 * 86_400
    signature = certify_online(
        IDENTITY, chain_id=CHAIN_ID, registry=REGISTRY, online=ONLINE.public, until=until
    )
    return Descriptor(
        chain_id=CHAIN_ID,
        registry=REGISTRY,
        owner=b"\x04" * 20,
        index=7,
        identity=IDENTITY.public,
        online=ONLINE.public,
        online_until=until,
        online_signature=signature,
        role=Role.EXIT,
        host="127.17.0.1",
        port=4430,
        sni="node7.devnet",
        spki_hash=b"\x05" * 32,
        link_key=b"\x06" * 32,
        tickets=(TicketKey(b"ticket-1", b"\x07" * 32, PERIOD + 86_400),),
        first_phase=(PERIOD // 10 - 1) & 0xFFFFFF,
        phase_keys=tuple(bytes([0x30 + i]) * 32 for i in range(7)),
        ciphers=(1,),
        receipt_address=RECEIPT.address,
        family="vectors",
        software="0.1.0",
        policy="reject *:25\naccept *:*",
        published=PERIOD - 10,
        bandwidth_kbps=50_000,
        clients=0,
    ).sign(ONLINE)


def descriptor_vector() -> Vector:
    signed = signed_descriptor()
    return {
        "identity_secret": text(b"\x01" * 32),
        "online_secret": text(b"\x02" * 32),
        "node_id": text(signed.descriptor.node_id),
        "online_signature": text(signed.descriptor.online_signature),
        "payload": text(signed.payload),
        "signature": text(signed.signature),
        "digest": text(signed.digest),
        "wire": text(signed.encode()),
    }


def the_consensus() -> Consensus:
    signed = signed_descriptor()
    descriptor = signed.descriptor
    entry = RegistryEntry(
        index=descriptor.index,
        node_id=descriptor.node_id,
        identity=descriptor.identity,
        owner=descriptor.owner,
        role=descriptor.role,
        active=True,
        receipt_address=descriptor.receipt_address,
        paid_slot=True,
    )
    return build_consensus(
        PERIOD,
        [signed],
        {descriptor.index: entry},
        {descriptor.index: 80_000},
        NetworkParameters.profile("devnet"),
        network=Network(CHAIN_ID, COMMITTEE, REGISTRY),
        epoch=3,
        weights={descriptor.index: 12_345},
        reachable={descriptor.index},
        min_version="0.1.0",
    )


def consensus_vector() -> Vector:
    consensus = the_consensus()
    return {
        "chain_id": CHAIN_ID,
        "committee": text(COMMITTEE),
        "signer_secrets": [text(bytes([0x10 + i]) * 32) for i in range(4)],
        "signers": [text(member.address) for member in MEMBERS],
        "quorum": 3,
        "valid_after": PERIOD,
        "parameters_hash": text(consensus.parameters.hash()),
        "hash": text(consensus.hash),
        "digest": text(consensus.digest),
        "wire": text(signed_by(consensus, (0, 1, 3)).encode()),
    }


def signed_by(consensus: Consensus, members: tuple[int, ...]) -> SignedConsensus:
    parts = {i: sign_consensus(consensus, MEMBERS[i]) for i in members}
    return SignedConsensus(consensus, *join_signatures(parts))


def succession_vector() -> Vector:
    """The fourth member leaves, a fifth one comes."""
    before = CommitteeTrust(CHAIN_ID, COMMITTEE, tuple(key.address for key in MEMBERS), 3)
    newcomer = ReceiptKey(b"\x14" * 32)
    change = CommitteeChange(
        chain_id=CHAIN_ID,
        committee=COMMITTEE,
        valid_from=PERIOD,
        previous=before.hash,
        signers=(*before.signers[:3], NO_SIGNER, newcomer.address),
        quorum=3,
    )
    parts = {i: sign_change(change, MEMBERS[i]) for i in (0, 1, 3)}
    return {
        "chain_id": CHAIN_ID,
        "committee": text(COMMITTEE),
        "valid_from": PERIOD,
        "signers_before": [text(signer) for signer in before.signers],
        "quorum_before": before.quorum,
        "hash_before": text(before.hash),
        "signers": [text(signer) for signer in change.signers],
        "quorum": change.quorum,
        "hash": text(change.trust.hash),
        "digest": text(change.digest),
        "wire": text(SignedChange(change, *join_signatures(parts)).encode()),
    }


def evidence_vector() -> Vector:
    """Members 1 and 2 signed both of two consensuses."""
    one = the_consensus()
    other = replace(one, users=one.users + 1)
    proof = DoubleConsensus.of(signed_by(one, (0, 1, 2)), signed_by(other, (1, 2, 3)))
    return {
        "chain_id": CHAIN_ID,
        "committee": text(COMMITTEE),
        "signers": [text(member.address) for member in MEMBERS],
        "quorum": 3,
        "period": PERIOD,
        "hashes": [text(one.hash), text(other.hash)],
        "culprits": list(proof.culprits),
        "digest": text(proof.digest),
        "wire": text(proof.encode()),
    }


def receipt_vector() -> Vector:
    domain = qnet_domain(CHAIN_ID, ORACLE)
    body = LinkReceipt(3, 5, 7, 9, Side.RECEIVER, bucket_round(123_456), b"\x11" * 32)
    signing = ReceiptKey(b"\x08" * 32)
    signed = body.sign(signing, domain)
    tags = [bytes([i]) * 16 for i in range(40)]
    counts = (0, 1, 15, 16, 31, 32, 33, 34, 1000, 123_456, (1 << 63) + 1, (1 << 64) - 1)
    return {
        "chain_id": CHAIN_ID,
        "oracle": text(ORACLE),
        "domain": text(domain),
        "secret": text(b"\x08" * 32),
        "address": text(signing.address),
        "digest": text(body.digest(domain)),
        "wire": text(signed.encode()),
        "body_hash": text(signed.body_hash),
        "buckets": [
            {"count": str(n), "floor": str(bucket_round(n)), "index": bucket_index(n)}
            for n in counts
        ],
        "sample": {
            "beacon": text(b"\x12" * 32),
            "tags": [text(tag) for tag in tags],
            "root": text(sample_root(tags, b"\x12" * 32)),
        },
    }


def audit_vector() -> Vector:
    domain = qnet_domain(CHAIN_ID, ORACLE)
    rtts = [1000, 2500, 0xFFFFFFFF, 900]
    result = AuditResult(3, 5, 1, 7, 4, 3, 1, probe_root(rtts))
    burst = CapacityResult(3, 1, 7, 1 << 20, 250_000)
    member = MEMBERS[1]
    reveal = AuditReveal(
        3, 5, 1, b"\x13" * 32, (result.sign(member, domain),), (burst.sign(member, domain),)
    )
    return {
        "domain": text(domain),
        "signer_secret": text(b"\x11" * 32),
        "round_trips_micros": rtts,
        "probe_root": text(result.probe_root),
        "result_digest": text(result.digest(domain)),
        "capacity_digest": text(burst.digest(domain)),
        "wire": text(reveal.encode()),
        "commitment": text(reveal.commitment),
    }


def report_vector() -> Vector:
    report = EpochReport(
        epoch=4,
        attempt=1,
        params_hash=b"\x01" * 32,
        nodes_root=b"\x02" * 32,
        evidence_root=bytes(32),
        audit_root=b"\x03" * 32,
        total_reward_wei=10**22,
        node_count=8,
        data_hash=b"\x04" * 32,
        previous_hash=bytes(32),
    )
    slots = pack_slot_p((1000, 512, 0, 1023))
    leaf = NodeLeaf(4, 7, 10**21, 10**21, slots, 900_000, 260_000, 10**20, 10**21, 0)
    domain = qnet_domain(CHAIN_ID, ORACLE)
    sides = [
        LinkReceipt(4, 5, 7, 9, side, bucket_round(count), bytes(32)).sign(RECEIPT, domain)
        for side, count in ((Side.SENDER, 123_456), (Side.RECEIVER, 123_400))
    ]
    sent, received = (signed.receipt.packets for signed in sides)
    proofs = [receipt_proof(signed.receipt.digest(domain), signed.signature) for signed in sides]
    link = LinkLeaf(4, 5, 7, 9, sent, received, min(sent, received), *proofs)
    audit = AuditLeaf(4, 5, 7, (0, 1, 3), (4, 4, 2), (4, 3, 2))
    return {
        "chain_id": CHAIN_ID,
        "oracle": text(ORACLE),
        "report": report.to_json(),
        "digest": text(report.digest(qnet_domain(CHAIN_ID, ORACLE))),
        "leaf": leaf.to_json(),
        "leaf_hash": text(leaf.hash(CHAIN_ID, ORACLE)),
        "link": link.to_json(),
        "link_hash": text(link.hash(CHAIN_ID, ORACLE)),
        "audit": audit.to_json(),
        "audit_hash": text(audit.hash(CHAIN_ID, ORACLE)),
    }


def peer_vector() -> Vector:
    call = SignedBody.sign(
        MEMBERS[0],
        domain=qnet_domain(CHAIN_ID, COMMITTEE),
        path="/v1/peer/vote",
        recipient=MEMBERS[1].address,
        timestamp=PERIOD,
        nonce=b"\x14" * 16,
        body=b"\xa0",
    )
    return {
        "domain": text(qnet_domain(CHAIN_ID, COMMITTEE)),
        "signer_secret": text(b"\x10" * 32),
        "path": "/v1/peer/vote",
        "recipient": text(MEMBERS[1].address),
        "wire": text(call.encode()),
    }


def beacon_vector() -> Vector:
    chain = HashChain(BEACON_SEED, 12)
    return {
        "seed": text(BEACON_SEED),
        "length": 12,
        "anchor": text(chain.anchor),
        "values": [text(chain.value(slot)) for slot in range(12)],
        "draws": [
            {
                "slot": slot,
                "label": "audit",
                "n": 1000,
                "value": draw(chain.value(slot), b"audit", 1000),
            }
            for slot in range(4)
        ],
        "order": {
            "slot": 0,
            "label": "order",
            "of": 16,
            "items": draw_order(chain.value(0), b"order", range(16)),
        },
    }


VECTORS: Mapping[str, Callable[[], Vector]] = {
    "descriptor": descriptor_vector,
    "consensus": consensus_vector,
    "receipt": receipt_vector,
    "audit": audit_vector,
    "report": report_vector,
    "succession": succession_vector,
    "evidence": evidence_vector,
    "peer": peer_vector,
    "beacon": beacon_vector,
}


def write() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, build in VECTORS.items():
        content = json.dumps({"source": SOURCE, **build()}, indent=1)
        (FOLDER / f"{name}.json").write_text(content + "\n")


if __name__ == "__main__":
    write()
