"""Primitives of the protocol; every key derivation label lives in kdf.py."""
