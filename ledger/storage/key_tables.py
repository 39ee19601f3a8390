"""Tables of the committee's key generation: docs/spec/payments.md, section Keys.

Epochs are issuance epochs. Secrets are sealed (`ledger.domain.keygen_sealing`) before they come
here, and are the only rows that are overwritten and deleted.
"""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, LargeBinary, String, Table

from ledger.storage.tables import metadata
from ledger.storage.types import Uint256

keygen_secrets: Final = Table(
    "keygen_secrets",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(24), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    comment="what our dealings are made of, and our shares; on disk before anything of it leaves",
)

keygen_bundles: Final = Table(
    "keygen_bundles",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt", BigInteger, primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("author", Integer, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary(32), primary_key=True),
    Column("wire", LargeBinary, nullable=False),
    Column("received_at", Float, nullable=False),
    comment="what members said in a round, ours among it",
)

keygen_records: Final = Table(
    "keygen_records",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt", BigInteger, primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("document", LargeBinary, nullable=False),
    Column("decided_at", Float, nullable=False),
    comment="what counts as said in a round, as the committee agreed",
)

issuance_keys: Final = Table(
    "issuance_keys",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("keys_hash", LargeBinary(32), nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("bitmap", Uint256, nullable=False),
    Column("signatures", LargeBinary, nullable=False),
    Column("registered", Boolean, nullable=False),
    comment="agreed keys; registered: their hash is on chain at a final block",
)
