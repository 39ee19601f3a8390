"""Key generation: secrets, bundles, records, and the keys of issuance epochs.

Revision ID: 0004
Revises: 0003
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from ledger.storage.types import Uint256

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = ("issuance_keys", "keygen_records", "keygen_bundles", "keygen_secrets")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "keygen_secrets",
        _place("epoch"),
        sa.Column("name", sa.String(length=24), nullable=False),
        _octets("sealed"),
        sa.PrimaryKeyConstraint("epoch", "name", name=op.f("pk_keygen_secrets")),
        comment="what our dealings are made of, and our shares; on disk before anything of it "
        "leaves",
    )
    op.create_table(
        "keygen_bundles",
        *(_place("epoch"), _place("attempt")),
        *(_place("round", sa.Integer()), _place("author", sa.Integer())),
        _octets("digest", 32),
        _octets("wire"),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint(
            "epoch", "attempt", "round", "author", "digest", name=op.f("pk_keygen_bundles")
        ),
        comment="what members said in a round, ours among it",
    )
    op.create_table(
        "keygen_records",
        *(_place("epoch"), _place("attempt"), _place("round", sa.Integer())),
        _octets("document"),
        sa.Column("decided_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", "attempt", "round", name=op.f("pk_keygen_records")),
        comment="what counts as said in a round, as the committee agreed",
    )
    op.create_table(
        "issuance_keys",
        _place("epoch"),
        _octets("keys_hash", 32),
        _octets("document"),
        sa.Column("bitmap", Uint256(), nullable=False),
        _octets("signatures"),
        sa.Column("registered", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", name=op.f("pk_issuance_keys")),
        comment="agreed keys; registered: their hash is on chain at a final block",
    )


def downgrade() -> None:
    """Take back; what is lost can be made for later epochs only."""
    for name in _TABLES:
        op.drop_table(name)


def _place(name: str, kind: Any = None) -> sa.Column[int]:
    return sa.Column(name, kind or sa.BigInteger(), nullable=False, autoincrement=False)


def _octets(name: str, length: int | None = None) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(length=length), nullable=False)
