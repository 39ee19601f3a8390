"""Tables of the ledger. Rows are added, never overwritten, except where a state is named.

Times are unix seconds (float), hashes 32 bytes, addresses 20 bytes.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from ledger.storage.types import Uint256

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata: Final = MetaData(naming_convention=NAMING)
_RowId = BigInteger().with_variant(Integer, "sqlite")

facts: Final = Table(
    "facts",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
    comment="what this database belongs to: chain, contracts, member",
)

descriptors: Final = Table(
    "descriptors",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("node", BigInteger, nullable=False),
    Column("published", BigInteger, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("wire", LargeBinary, nullable=False),
    Column("received_at", Float, nullable=False),
    UniqueConstraint("node", "digest"),
    Index(None, "node", "published"),
)

receipts: Final = Table(
    "receipts",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("node_from", BigInteger, nullable=False),
    Column("node_to", BigInteger, nullable=False),
    Column("side", Integer, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("packets", Uint256, nullable=False),
    Column("wire", LargeBinary(120), nullable=False),
    Column("received_at", Float, nullable=False),
    UniqueConstraint(
        "epoch", "slot", "node_from", "node_to", "side", "digest", name="uq_receipts_tuple"
    ),
    CheckConstraint("side IN (0, 1)", name="side"),
)

audit_findings: Final = Table(
    "audit_findings",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("target", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    UniqueConstraint("epoch", "slot", "kind", "target"),
    CheckConstraint("kind IN ('probes', 'burst')", name="kind"),
    comment="what our own auditor found, before it is committed to",
)

audit_commits: Final = Table(
    "audit_commits",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("auditor", Integer, nullable=False),
    Column("commitment", LargeBinary(32), nullable=False),
    Column("signature", LargeBinary(65), nullable=False),
    Column("received_at", Float, nullable=False),
    UniqueConstraint("epoch", "slot", "auditor", "commitment"),
)

audit_reveals: Final = Table(
    "audit_reveals",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("slot", Integer, nullable=False),
    Column("auditor", Integer, nullable=False),
    Column("commitment", LargeBinary(32), nullable=False),
    Column("wire", LargeBinary, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("received_at", Float, nullable=False),
    UniqueConstraint("epoch", "slot", "auditor", "commitment"),
    comment="accepted: committed and revealed in time",
)

agreements: Final = Table(
    "agreements",
    metadata,
    Column("kind", Integer, primary_key=True),
    Column("period", BigInteger, primary_key=True),
    Column("attempt", BigInteger, primary_key=True, server_default="0"),
    Column("state", LargeBinary, nullable=False),
    comment="memory of each agreement; written before a message leaves",
)

consensuses: Final = Table(
    "consensuses",
    metadata,
    Column("valid_after", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("wire", LargeBinary, nullable=False),
)

committee_changes: Final = Table(
    "committee_changes",
    metadata,
    Column("valid_from", BigInteger, primary_key=True, autoincrement=False),
    Column("wire", LargeBinary, nullable=False),
)

consensus_evidence: Final = Table(
    "consensus_evidence",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("period", BigInteger, nullable=False),
    Column("wire", LargeBinary, nullable=False),
    Column("received_at", Float, nullable=False),
    comment="proofs that two consensuses were signed for one period",
)

reports: Final = Table(
    "reports",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("epoch", BigInteger, nullable=False, index=True),
    Column("attempt", BigInteger, nullable=False, server_default="0"),
    Column("data", LargeBinary, nullable=False),
    Column("bitmap", Uint256, nullable=False),
    Column("signatures", LargeBinary, nullable=False),
)

leaves: Final = Table(
    "leaves",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("node", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("bond_wei", Uint256, nullable=False),
    Column("stake_wei", Uint256, nullable=False),
    Column("slot_p", Uint256, nullable=False),
    Column("w_ppm", Integer, nullable=False),
    Column("rho_ppm", Integer, nullable=False),
    Column("reward_wei", Uint256, nullable=False),
    Column("cum_operator_wei", Uint256, nullable=False),
    Column("cum_pool_wei", Uint256, nullable=False),
)

parameter_sets: Final = Table(
    "parameter_sets",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("period", BigInteger, nullable=False),
    Column("attempt", BigInteger, nullable=False, server_default="0"),
    Column("subject", BigInteger, nullable=False, server_default="0"),
    Column("target", LargeBinary(20), nullable=False),
    Column("call", LargeBinary, nullable=False),
    Column("label", String(200), nullable=False),
    Column("not_before", Float, nullable=False),
    Column("state", String(8), nullable=False),
    Column("raw", LargeBinary, nullable=True),
    Column("tx_hash", LargeBinary(32), nullable=True),
    Column("note", String(300), nullable=False),
    UniqueConstraint("kind", "period", "attempt", "subject"),
    CheckConstraint("state IN ('waiting', 'signed', 'done', 'failed')", name="state"),
    comment="transactions to send; raw is on disk before it is broadcast",
)

challenges: Final = Table(
    "challenges",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("subject", BigInteger, nullable=False),
    Column("noted_at", Float, nullable=False),
    Column("evidence", LargeBinary, nullable=False),
    Column("salt", LargeBinary(32), nullable=False),
    Column("state", String(8), nullable=False),
    Column("challenge", BigInteger, nullable=True),
    Column("note", String(300), nullable=False),
    UniqueConstraint("kind", "subject"),
    CheckConstraint("state IN ('noted', 'opened', 'proven', 'dropped')", name="state"),
    comment="proofs on their way to the court; the salt is on disk before it is committed to",
)
