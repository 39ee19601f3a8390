"""Handlers, agreement transport, epoch loop and settlement."""
