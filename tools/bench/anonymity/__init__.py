"""`qnet bench anonymity`: what observers and hostile nodes learn about who sends to whom."""
