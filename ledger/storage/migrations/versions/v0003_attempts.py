"""Attempts of reports, transactions about a subject, and challenges.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OUTBOX_STATES = "state IN ('waiting', 'signed', 'done', 'failed')"
_CHALLENGE_STATES = "state IN ('noted', 'opened', 'proven', 'dropped')"


def upgrade() -> None:
    """Apply; what is stored belongs to attempt 0 and to no subject."""
    with op.batch_alter_table("agreements") as batch:
        batch.add_column(_number("attempt"))
        batch.drop_constraint(op.f("pk_agreements"), type_="primary")
        batch.create_primary_key(op.f("pk_agreements"), ["kind", "period", "attempt"])
    with op.batch_alter_table("reports") as batch:
        batch.add_column(_number("attempt"))
    with op.batch_alter_table("outbox", table_args=(_outbox_check(),)) as batch:
        batch.add_column(_number("attempt"))
        batch.add_column(_number("subject"))
        batch.drop_constraint(op.f("uq_outbox_kind_period"), type_="unique")
        batch.create_unique_constraint(
            op.f("uq_outbox_kind_period_attempt_subject"), ["kind", "period", "attempt", "subject"]
        )
    op.create_table(
        "challenges",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.BigInteger(), nullable=False),
        sa.Column("noted_at", sa.Float(), nullable=False),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("challenge", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.String(length=300), nullable=False),
        sa.CheckConstraint(_CHALLENGE_STATES, name=op.f("ck_challenges_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_challenges")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_challenges_kind_subject")),
        comment="proofs on their way to the court; the salt is on disk before it is committed to",
    )


def downgrade() -> None:
    """Take back; of later attempts nothing can be kept."""
    op.drop_table("challenges")
    op.execute("DELETE FROM outbox WHERE attempt > 0 OR subject > 0")
    op.execute("DELETE FROM agreements WHERE attempt > 0")
    with op.batch_alter_table("outbox", table_args=(_outbox_check(),)) as batch:
        batch.drop_constraint(op.f("uq_outbox_kind_period_attempt_subject"), type_="unique")
        batch.create_unique_constraint(op.f("uq_outbox_kind_period"), ["kind", "period"])
        batch.drop_column("subject")
        batch.drop_column("attempt")
    with op.batch_alter_table("reports") as batch:
        batch.drop_column("attempt")
    with op.batch_alter_table("agreements") as batch:
        batch.drop_constraint(op.f("pk_agreements"), type_="primary")
        batch.create_primary_key(op.f("pk_agreements"), ["kind", "period"])
        batch.drop_column("attempt")


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def _outbox_check() -> sa.CheckConstraint:
    """SQLite's tables are made anew, and their checks are not read back."""
    return sa.CheckConstraint(_OUTBOX_STATES, name=op.f("ck_outbox_state"))
