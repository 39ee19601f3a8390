"""Tables of premium payments; times are unix seconds, hashes 32 bytes, addresses 20 bytes."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from ledger.storage.tables import metadata
from ledger.storage.types import Uint256

_RowId = BigInteger().with_variant(Integer, "sqlite")

requests: Final = Table(
    "payment_requests",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("name", LargeBinary(32), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("channel", LargeBinary(20), nullable=True),
    Column("nonce", BigInteger, nullable=True),
    Column("cumulative", Uint256, nullable=True),
    Column("wire", LargeBinary, nullable=False),
    Column("own", LargeBinary, nullable=True),
    Column("combined", LargeBinary, nullable=True),
    Column("received_at", Float, nullable=False),
    UniqueConstraint("name"),
    Index(None, "epoch", "id"),
    Index(None, "channel", "nonce"),
    comment="purchases and swaps; own: our partial signatures, written before they leave",
)

places: Final = Table(
    "payment_places",
    metadata,
    Column("place", LargeBinary(32), primary_key=True),
    Column("name", LargeBinary(32), nullable=False, index=True),
    comment="nonces of channels and spent instruments: what stands there stands for ever",
)

partials: Final = Table(
    "payment_partials",
    metadata,
    Column("name", LargeBinary(32), primary_key=True),
    Column("member", Integer, primary_key=True, autoincrement=False),
    Column("signatures", LargeBinary, nullable=False),
    comment="of other members, until enough are combined",
)

claims: Final = Table(
    "payment_claims",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("name", LargeBinary(32), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("relay", BigInteger, nullable=False),
    Column("wire", LargeBinary, nullable=False),
    Column("in_time", Boolean, nullable=False),
    UniqueConstraint("name"),
    Index(None, "epoch", "id"),
    comment="tokens that relays handed in; in_time: to us, so we insist on them",
)

spends: Final = Table(
    "payment_spends",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("relay", BigInteger, primary_key=True, autoincrement=False),
    Column("token", LargeBinary(32), primary_key=True),
    Column("k", Integer, nullable=False),
    Column("preimage", LargeBinary(32), nullable=False),
    Column("claimed", Boolean, nullable=False),
    comment="how far tokens were spent, as claimed here or redeemed on chain",
)

leaves: Final = Table(
    "payment_leaves",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("relay", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch_units", Uint256, nullable=False),
    Column("cum_units", Uint256, nullable=False),
    Column("tokens", BigInteger, nullable=False),
)

matters: Final = Table(
    "payment_matters",
    metadata,
    Column("kind", String(8), primary_key=True),
    Column("subject", LargeBinary(32), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("noted_at", Float, nullable=False),
    comment="what the chain asks of us: exits, disputes, demands, channels that close",
)

cursors: Final = Table(
    "payment_cursors",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("cursor", LargeBinary, nullable=False),
)
