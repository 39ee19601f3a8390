"""Front doors: SOCKS5, HTTP proxy and DNS ports, and what may share a circuit."""
