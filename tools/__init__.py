"""Programs that drive the others: devnet and benches."""
