"""`qnet bench economy`: agents over a year of epochs, paid by the ledger's own reward code."""
