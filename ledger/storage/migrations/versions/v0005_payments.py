"""Premium payments: requests, claims, and what the chain asks.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

from ledger.storage.types import Uint256

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLES = (
    "payment_cursors",
    "payment_matters",
    "payment_leaves",
    "payment_spends",
    "payment_claims",
    "payment_partials",
    "payment_places",
    "payment_requests",
)


def upgrade() -> None:
    """Apply."""
    _create_requests()
    _create_claims()
    op.create_table(
        "payment_matters",
        sa.Column("kind", sa.String(length=8), nullable=False),
        _hash("subject"),
        _number("epoch"),
        sa.Column("noted_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject", name=op.f("pk_payment_matters")),
        comment="what the chain asks of us: exits, disputes, demands, channels that close",
    )
    op.create_table(
        "payment_cursors",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("cursor", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_payment_cursors")),
    )


def downgrade() -> None:
    """Take back."""
    for name in _TABLES:
        op.drop_table(name)


def _create_requests() -> None:
    name = "payment_requests"
    op.create_table(
        name,
        _row_id(),
        _hash("name"),
        _number("epoch"),
        sa.Column("channel", sa.LargeBinary(length=20), nullable=True),
        sa.Column("nonce", sa.BigInteger(), nullable=True),
        sa.Column("cumulative", Uint256(), nullable=True),
        sa.Column("wire", sa.LargeBinary(), nullable=False),
        sa.Column("own", sa.LargeBinary(), nullable=True),
        sa.Column("combined", sa.LargeBinary(), nullable=True),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_requests")),
        sa.UniqueConstraint("name", name=op.f("uq_payment_requests_name")),
        comment="purchases and swaps; own: our partial signatures, written before they leave",
    )
    op.create_index(op.f("ix_payment_requests_epoch_id"), name, ["epoch", "id"])
    op.create_index(op.f("ix_payment_requests_channel_nonce"), name, ["channel", "nonce"])
    op.create_table(
        "payment_places",
        _hash("place"),
        _hash("name"),
        sa.PrimaryKeyConstraint("place", name=op.f("pk_payment_places")),
        comment="nonces of channels and spent instruments: what stands there stands for ever",
    )
    op.create_index(op.f("ix_payment_places_name"), "payment_places", ["name"])
    op.create_table(
        "payment_partials",
        _hash("name"),
        sa.Column("member", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("signatures", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", "member", name=op.f("pk_payment_partials")),
        comment="of other members, until enough are combined",
    )


def _create_claims() -> None:
    op.create_table(
        "payment_claims",
        _row_id(),
        _hash("name"),
        _number("epoch"),
        _number("relay"),
        sa.Column("wire", sa.LargeBinary(), nullable=False),
        sa.Column("in_time", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_claims")),
        sa.UniqueConstraint("name", name=op.f("uq_payment_claims_name")),
        comment="tokens that relays handed in; in_time: to us, so we insist on them",
    )
    op.create_index(op.f("ix_payment_claims_epoch_id"), "payment_claims", ["epoch", "id"])
    op.create_table(
        "payment_spends",
        _number("epoch"),
        _number("relay"),
        _hash("token"),
        sa.Column("k", sa.Integer(), nullable=False),
        _hash("preimage"),
        sa.Column("claimed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", "relay", "token", name=op.f("pk_payment_spends")),
        comment="how far tokens were spent, as claimed here or redeemed on chain",
    )
    op.create_table(
        "payment_leaves",
        _number("epoch"),
        _number("relay"),
        sa.Column("epoch_units", Uint256(), nullable=False),
        sa.Column("cum_units", Uint256(), nullable=False),
        _number("tokens"),
        sa.PrimaryKeyConstraint("epoch", "relay", name=op.f("pk_payment_leaves")),
    )


def _row_id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False)


def _hash(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(length=32), nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)
