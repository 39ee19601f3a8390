"""The environment in which a program uses the client's ports, and how shells set it.

`socks5h` everywhere: the `h` makes the program hand over names instead of resolving them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

from node.errors import Stage, StageError

Shell = Literal["sh", "fish", "powershell"]

PASSWORD: Final = "qnet"  # noqa: S105 - it means nothing; some programs send no name without one
"""Password of the proxy addresses; the client ignores it."""


@dataclass(frozen=True, slots=True)
class Ways:
    """The ports of a running client that proxies are entered with.

    Attributes:
        socks: `host:port` of the SOCKS5 port, empty for none.
        http: `host:port` of the HTTP proxy port, empty for none.
    """

    socks: str
    http: str = ""


def proxy_variables(ways: Ways, label: str = "") -> dict[str, str]:
    """Variables that programs read; empty `no_proxy` so that nothing goes around the proxy.

    Raises:
        StageError: The client has neither port.
    """
    if not ways.socks and not ways.http:
        why = "client.toml names neither [socks] nor [http]"
        raise StageError(Stage.PORTS, "the client has no port for proxies", why=why)
    user = f"{quote(label, safe='')}:{PASSWORD}@" if label else ""
    socks = f"socks5h://{user}{ways.socks}" if ways.socks else ""
    http = f"http://{user}{ways.http}" if ways.http else ""
    chosen = {"all_proxy": socks or http, "http_proxy": http or socks, "https_proxy": http or socks}
    values = chosen | {"no_proxy": ""}
    return {**{name.upper(): value for name, value in values.items()}, **values}


def shell_lines(variables: Mapping[str, str], shell: Shell) -> str:
    """Lines that set variables in a shell; values are quoted."""
    if shell == "fish":
        return "".join(f"set -gx {name} {_fish(value)}\n" for name, value in variables.items())
    if shell == "powershell":
        return "".join(f"$Env:{name} = {_powershell(v)}\n" for name, v in variables.items())
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def _fish(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _powershell(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
