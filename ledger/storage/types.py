"""Column types that behave the same on SQLite and PostgreSQL."""

from decimal import Decimal
from typing import Any

from sqlalchemy import NUMERIC, String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

UINT256_MAX = 2**256 - 1
_DIGITS = 78


class Uint256(TypeDecorator[int]):
    """An unsigned integer of 256 bits.

    NUMERIC(78, 0) on PostgreSQL; text of 78 digits, padded with zeros, elsewhere, so that text
    order is number order.
    """

    impl = String(_DIGITS)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the type of the database at hand."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(NUMERIC(_DIGITS, 0))
        return dialect.type_descriptor(String(_DIGITS))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        """Turn an integer into what the database stores.

        Raises:
            ValueError: outside 256 bits.
        """
        if value is None:
            return None
        if not 0 <= value <= UINT256_MAX:
            raise ValueError("an amount does not fit in 256 bits")
        return Decimal(value) if dialect.name == "postgresql" else str(value).zfill(_DIGITS)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """Turn what the database stored into an integer."""
        del dialect
        return None if value is None else int(value)
