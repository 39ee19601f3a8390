"""The wallet of a user: credits, tokens, and what circuits are paid with."""
