"""The only package that talks to an EVM chain."""
