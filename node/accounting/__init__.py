"""Bandwidth metering and the exchange of link receipts."""
