"""`qnet court`: evidence against a node from file to slash, against a real chain."""

import json
from dataclasses import replace

import pytest

from governance.challenges import Opening, opening_path
from governance.evidence import check_evidence
from qnet.chain.staking import NodeState
from qnet.crypto.keys import ReceiptKey
from qnet.eip712 import qnet_domain
from qnet.errors import ConfigError, RejectedError
from qnet.messages.consensus import consensus_digest
from qnet.messages.evidence_file import EvidenceFile
from qnet.messages.proofs import (
    BadLeafProof,
    ChargeEvidence,
    ConsensusesProof,
    JailEvidence,
    Proven,
    ReceiptsProof,
    ReportsProof,
    SignedReport,
)
from qnet.messages.receipt import NO_SAMPLE, LinkReceipt, Side
from qnet.messages.report import EpochReport, NodeLeaf
from tests.governance.test_stake import QNET, code_of, on_chain, pass_time, register

pytestmark = pytest.mark.chain
EPOCH_S = 30
LEAF = Proven(NodeLeaf(0, 1, 0, 0, 0, 0, 0, 0, 0, 0), ())


@pytest.fixture
def cheat(world, tmp_path):
    """Evidence that a relay with 5,000 QNET signed twice in an epoch that it began as active."""
    key = ReceiptKey.generate()
    index = register(world, "operator", bond=5000, receipt_key=key)
    neighbour = register(world, "alice")
    pass_time(world, EPOCH_S + 10)

    async def write(contracts):
        domain = qnet_domain(contracts.client.chain_id, contracts.oracle.address)
        epoch = await contracts.epochs.current_epoch()
        first = LinkReceipt(epoch, 0, index, neighbour, Side.SENDER, 64, NO_SAMPLE)
        second = replace(first, packets=128)
        proof = ReceiptsProof(first.sign(key, domain), second.sign(key, domain))
        file = EvidenceFile(contracts.client.chain_id, contracts.court.address, proof)
        path = tmp_path / "evidence.json"
        path.write_bytes(file.encode())
        return path

    return index, on_chain(world, write)


def rewrite(path, change):
    """Write a changed copy of an evidence file beside it."""
    file = EvidenceFile.decode(path.read_bytes())
    other = path.with_name("other.json")
    other.write_bytes(replace(file, evidence=change(file.evidence)).encode())
    return other


def test_evidence_becomes_a_slash(world, type_in, cheat):
    index, path = cheat
    bob = world.words("bob")
    code, (told,), _ = type_in("court", "check", path, *world.reader(), "--json")
    assert (code, told["data"]["kind"]) == (0, "receipts")
    code, (_, opened), err = type_in("court", "open", path, *bob)
    assert code == 0
    assert f"node {index} signed two receipts" in err
    assert opened["data"]["bond"]["amount"] == "100"
    assert opening_path(path).stat().st_mode & 0o777 == 0o600
    assert type_in("court", "open", path, *bob)[0] == 0, "opening again does nothing"
    code, (proven,), _ = type_in("court", "prove", path, *bob)
    assert code == 0
    assert (proven["data"]["moot"], proven["data"]["slash"]) == (False, 1)
    code, _, err = type_in("court", "prove", path, *bob)
    assert (code, code_of(err)) == (9, "Q0947")
    _, (status,), _ = type_in("court", "status", *world.reader(), "--json")
    entries = [(row["entry"], row["state"], row["against"]) for row in status["data"]["entries"]]
    assert entries == [("challenge", "proven", None), ("slash", "escrow", f"node {index}")]
    code, _, err = type_in("court", "execute", 1, *bob)
    assert (code, code_of(err)) == (9, "Q0947")
    assert type_in("court", "veto", 1, *bob)[0] == 9
    assert type_in("stake", "delegate", index, "1", *bob)[0] == 9
    pass_time(world, 11)
    code, (done,), _ = type_in("court", "execute", 1, *bob)
    assert code == 0
    assert done["data"]["to_challenger"]["amount"] == "12.5"
    assert done["data"]["burned"]["amount"] == "237.5"

    async def look(contracts):
        state = (await contracts.registry.node(index)).state
        return state, await contracts.hub.bond_of(index)

    assert on_chain(world, look) == (NodeState.TOMBSTONED, 4750 * QNET)
    for verb in ("execute", "veto"):
        code, _, err = type_in("court", verb, 1, *bob)
        assert (code, code_of(err)) == (9, "Q0947")
    assert "there is no slash 7" in type_in("court", "execute", 7, *bob)[2]


def test_a_number_lost_between_sending_and_writing_is_found_again(world, type_in, cheat):
    _, path = cheat
    bob = world.words("bob")
    assert type_in("court", "open", path, *bob)[0] == 0
    opening = Opening.load(opening_path(path))
    assert opening.challenge_id == 1
    replace(opening, challenge_id=0).save(opening_path(path))
    code, _, err = type_in("court", "open", path, *bob)
    assert code == 0
    assert "challenge 1 was opened before" in err
    replace(opening, challenge_id=0).save(opening_path(path))
    assert type_in("court", "prove", path, *bob)[0] == 0


def test_another_account_cannot_use_the_opening(world, type_in, cheat):
    _, path = cheat
    assert type_in("court", "prove", path, *world.words("bob"))[0] == 9
    assert type_in("court", "open", path, *world.words("bob"))[0] == 0
    code, _, err = type_in("court", "prove", path, *world.words("alice"))
    assert (code, code_of(err)) == (9, "Q0947")
    opening_path(path).write_text("{}")
    assert type_in("court", "prove", path, *world.words("bob"))[0] == 4


def test_a_bond_without_a_proof_burns(world, type_in, cheat):
    _, path = cheat
    bob = world.words("bob")
    assert type_in("court", "open", path, *bob)[0] == 0
    assert type_in("court", "expire", 1, *bob)[0] == 9
    pass_time(world, 30)
    code, (told,), _ = type_in("court", "expire", 1, *bob)
    assert (code, told["data"]["burned"]["amount"]) == (0, "100")
    code, _, err = type_in("court", "prove", path, *bob)
    assert (code, code_of(err)) == (9, "Q0947")


def test_dry_runs_write_and_send_nothing(world, type_in, cheat):
    _, path = cheat
    words = [word for word in world.words("bob") if word != "--yes"]
    code, _, err = type_in("court", "open", path, *words, "--dry-run")
    assert code == 0
    assert "without a proof in time they are burned" in err
    assert not opening_path(path).exists()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda proof: ReceiptsProof(proof.a, proof.a), "are the same"),
        (
            lambda proof: ReceiptsProof(
                proof.a, replace(proof.b, receipt=replace(proof.b.receipt, slot=1))
            ),
            "two tuples",
        ),
        (
            lambda proof: ReceiptsProof(
                proof.a, replace(proof.b, receipt=replace(proof.b.receipt, packets=1))
            ),
            "did not sign both",
        ),
        (lambda _: BadLeafProof(0, LEAF, None, (1,)), "UnknownReport"),
        (lambda _: JailEvidence((LEAF,) * 5), "does not hold"),
        (lambda _: ChargeEvidence(0, b"\1" * 32, 1, bytes(65)), "nobody has proven"),
    ],
)
def test_evidence_that_does_not_hold_is_not_brought(world, type_in, cheat, change, why):
    other = rewrite(cheat[1], change)
    code, _, err = type_in("court", "check", other, *world.reader())
    assert code == 9
    assert why in err


def test_old_evidence_is_not_brought(world, type_in, cheat):
    pass_time(world, 200)
    code, _, err = type_in("court", "check", cheat[1], *world.reader())
    assert code == 9
    assert "too old" in err


def test_evidence_for_another_court_or_verb(world, type_in, cheat):
    file = EvidenceFile.decode(cheat[1].read_bytes())
    other = cheat[1].with_name("foreign.json")
    other.write_bytes(replace(file, court=bytes(20)).encode())
    assert "another court" in type_in("court", "check", other, *world.reader())[2]
    for verb in ("charge", "jail"):
        code, _, err = type_in("court", verb, cheat[1], *world.words("bob"))
        assert (code, code_of(err)) == (9, "Q0948")
    jailing = rewrite(cheat[1], lambda _: JailEvidence((LEAF,) * 5))
    code, _, err = type_in("court", "open", jailing, *world.words("bob"))
    assert (code, code_of(err)) == (9, "Q0947")
    assert type_in("court", "charge", jailing.with_name("none"), *world.words("bob"))[0] == 4


def test_demands_for_reports_that_are_not_there(world, type_in):
    bob = world.words("bob")
    code, _, err = type_in("court", "answer", 0, 1, *bob)
    assert (code, code_of(err)) == (9, "Q0947")
    assert type_in("court", "demand", 0, 1, *bob)[0] == 9
    assert type_in("court", "expire-demand", 0, 1, *bob)[0] == 9


async def test_members_that_sign_twice_are_recognised(world, contracts):
    members = world.signers
    oracle, chain_id = contracts.oracle.address, contracts.client.chain_id
    domain = qnet_domain(chain_id, oracle)
    report = EpochReport(0, 0, *(bytes(32),) * 4, 0, 0, bytes(32), bytes(32))
    other = replace(report, node_count=1)
    signed = [SignedReport(r, members[1].sign(r.digest(domain))) for r in (report, other)]
    place = (chain_id, contracts.committee.address, 2**33)
    words = [(h, members[2].sign(consensus_digest(*place, h))) for h in (b"\1" * 32, b"\2" * 32)]
    for evidence, shown in (
        (ReportsProof(1, *signed), "member 1 signed two reports"),
        (ConsensusesProof(2, 2**33, *words[0], *words[1]), "member 2 signed two consensuses"),
    ):
        file = EvidenceFile(chain_id, contracts.court.address, evidence)
        assert shown in (await check_evidence(contracts, file))[0]
    for evidence in (
        ReportsProof(0, *signed),
        ReportsProof(1, signed[0], signed[0]),
        ReportsProof(1, signed[0], SignedReport(replace(report, attempt=1), bytes(65))),
        ConsensusesProof(1, 2**33, *words[0], *words[1]),
        ConsensusesProof(2, 2**33, *words[0], *words[0]),
    ):
        file = EvidenceFile(chain_id, contracts.court.address, evidence)
        with pytest.raises(RejectedError):
            await check_evidence(contracts, file)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", json.dumps({"schema": "qnet.challenge/1", "salt": 5}), "\xff"]
)
def test_damaged_openings_are_config_errors(tmp_path, content):
    path = tmp_path / "x.challenge"
    path.write_text(content)
    with pytest.raises(ConfigError):
        Opening.load(path)


def test_a_missing_opening_is_none(tmp_path):
    assert Opening.load(tmp_path / "none") is None
