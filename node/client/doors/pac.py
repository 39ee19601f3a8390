"""The proxy auto-configuration file that browsers read.

It never asks the browser to resolve a name, and never offers DIRECT: a browser that cannot reach
the client fails instead of leaking.
"""

from __future__ import annotations

import json


def pac(socks: str, http: str = "") -> str:
    """The file's text.

    Args:
        socks: `host:port` of the SOCKS5 port, empty for none.
        http: `host:port` of the HTTP proxy port, empty for none. It comes first, because there
            no browser can resolve a name itself.
    """
    ways = [f"PROXY {http}"] if http else []
    if socks:
        ways.append(f"SOCKS5 {socks}")
    return f"function FindProxyForURL(url, host) {{\n  return {json.dumps('; '.join(ways))};\n}}\n"
