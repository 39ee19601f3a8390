"""Benches: measured, never asserted; every byte checked."""
