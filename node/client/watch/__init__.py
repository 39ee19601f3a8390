"""What happens to the machine and its network, and whether anything leaks."""
