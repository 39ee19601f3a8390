"""First tables."""

import sqlalchemy as sa
from alembic import op

from ledger.storage.types import Uint256

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "agreements",
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("period", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "period", name=op.f("pk_agreements")),
        comment="memory of each agreement; written before a message leaves",
    )
    op.create_table(
        "audit_commits",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("auditor", sa.Integer(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=65), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_commits")),
        sa.UniqueConstraint(
            "epoch",
            "slot",
            "auditor",
            "commitment",
            name=op.f("uq_audit_commits_epoch_slot_auditor_commitment"),
        ),
    )
    op.create_table(
        "audit_findings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("target", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("kind IN ('probes', 'burst')", name=op.f("ck_audit_findings_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_findings")),
        sa.UniqueConstraint(
            "epoch", "slot", "kind", "target", name=op.f("uq_audit_findings_epoch_slot_kind_target")
        ),
        comment="what our own auditor found, before it is committed to",
    )
    op.create_table(
        "audit_reveals",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("auditor", sa.Integer(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(length=32), nullable=False),
        sa.Column("wire", sa.LargeBinary(), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_reveals")),
        sa.UniqueConstraint(
            "epoch",
            "slot",
            "auditor",
            "commitment",
            name=op.f("uq_audit_reveals_epoch_slot_auditor_commitment"),
        ),
        comment="accepted: committed and revealed in time",
    )
    op.create_table(
        "consensuses",
        sa.Column("valid_after", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("wire", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("valid_after", name=op.f("pk_consensuses")),
    )
    op.create_table(
        "descriptors",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("node", sa.BigInteger(), nullable=False),
        sa.Column("published", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("wire", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_descriptors")),
        sa.UniqueConstraint("node", "digest", name=op.f("uq_descriptors_node_digest")),
    )
    with op.batch_alter_table("descriptors", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_descriptors_node_published"), ["node", "published"], unique=False
        )

    op.create_table(
        "facts",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
        comment="what this database belongs to: chain, contracts, member",
    )
    op.create_table(
        "leaves",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("node", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("bond_wei", Uint256(length=78), nullable=False),
        sa.Column("stake_wei", Uint256(length=78), nullable=False),
        sa.Column("slot_p", Uint256(length=78), nullable=False),
        sa.Column("w_ppm", sa.Integer(), nullable=False),
        sa.Column("rho_ppm", sa.Integer(), nullable=False),
        sa.Column("reward_wei", Uint256(length=78), nullable=False),
        sa.Column("cum_operator_wei", Uint256(length=78), nullable=False),
        sa.Column("cum_pool_wei", Uint256(length=78), nullable=False),
        sa.PrimaryKeyConstraint("digest", "node", name=op.f("pk_leaves")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("period", sa.BigInteger(), nullable=False),
        sa.Column("target", sa.LargeBinary(length=20), nullable=False),
        sa.Column("call", sa.LargeBinary(), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("not_before", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=True),
        sa.Column("tx_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.CheckConstraint(
            "state IN ('waiting', 'signed', 'done', 'failed')", name=op.f("ck_outbox_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("kind", "period", name=op.f("uq_outbox_kind_period")),
        comment="transactions to send; raw is on disk before it is broadcast",
    )
    op.create_table(
        "parameter_sets",
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_parameter_sets")),
    )
    op.create_table(
        "receipts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("node_from", sa.BigInteger(), nullable=False),
        sa.Column("node_to", sa.BigInteger(), nullable=False),
        sa.Column("side", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("packets", Uint256(length=78), nullable=False),
        sa.Column("wire", sa.LargeBinary(length=120), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.CheckConstraint("side IN (0, 1)", name=op.f("ck_receipts_side")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
        sa.UniqueConstraint(
            "epoch", "slot", "node_from", "node_to", "side", "digest", name="uq_receipts_tuple"
        ),
    )
    op.create_table(
        "reports",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("bitmap", Uint256(length=78), nullable=False),
        sa.Column("signatures", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_reports")),
    )
    with op.batch_alter_table("reports", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reports_epoch"), ["epoch"], unique=False)


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("reports", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_reports_epoch"))

    op.drop_table("reports")
    op.drop_table("receipts")
    op.drop_table("parameter_sets")
    op.drop_table("outbox")
    op.drop_table("leaves")
    op.drop_table("facts")
    with op.batch_alter_table("descriptors", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_descriptors_node_published"))

    op.drop_table("descriptors")
    op.drop_table("consensuses")
    op.drop_table("audit_reveals")
    op.drop_table("audit_findings")
    op.drop_table("audit_commits")
    op.drop_table("agreements")
