"""How a client finds the network: consensus, committee, and whom to believe."""
