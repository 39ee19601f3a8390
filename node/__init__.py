"""Relay, exit and client software."""
