"""Descriptors, consensus acceptance, caches, guards and path selection."""
