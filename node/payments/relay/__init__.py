"""The toll of a relay: tokens taken, kept and turned into money."""
