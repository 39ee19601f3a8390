"""The kernel of QNet: what node, ledger, governance and tools share."""
