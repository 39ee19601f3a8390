"""The client: SOCKS5, isolation, sessions and recovery."""
