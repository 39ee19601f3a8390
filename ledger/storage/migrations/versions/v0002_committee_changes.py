"""Committee changes and evidence of double consensuses.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "committee_changes",
        sa.Column("valid_from", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("wire", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("valid_from", name=op.f("pk_committee_changes")),
    )
    op.create_table(
        "consensus_evidence",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("period", sa.BigInteger(), nullable=False),
        sa.Column("wire", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_consensus_evidence")),
        comment="proofs that two consensuses were signed for one period",
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("consensus_evidence")
    op.drop_table("committee_changes")
