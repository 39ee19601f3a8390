"""Guards, links, circuits: built, measured, watched and chosen."""
