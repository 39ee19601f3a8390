"""A whole QNet network on one machine: chain, committee, nodes, client and names."""
