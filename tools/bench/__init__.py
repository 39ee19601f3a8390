"""Measurements of speed, never asserted in tests."""
