"""The holders side: proposals, votes, stake."""
