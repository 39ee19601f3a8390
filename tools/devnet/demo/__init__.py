"""`scripts/demo`: one network, everything it promises, each promise checked."""
