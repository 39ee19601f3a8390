"""Pure rules of the ledger: integers in, integers out."""
