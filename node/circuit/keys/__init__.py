"""Keys of a node that circuits need."""
