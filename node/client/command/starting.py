"""`qnet client up`: writes the configuration, starts the client, and tells its stages."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from node.config import ClientConfig, Endpoint, Tier
from qnet.config import load_toml
from qnet.errors import ConfigError, NetworkError, UsageError
from qnet.files import write_atomic

DEFAULT_SOCKS = "127.0.0.1:9150"
DEFAULT_HTTP = "127.0.0.1:9151"
STAGE_MARK = "STAGE "
READY_MARK = "READY "
EXIT_WAIT_S = 10.0


def configure(home: Path, bundle: Path | None, listens: Mapping[str, str]) -> None:
    """Write client.toml from the options, or keep the one there is.

    Args:
        home: The client's folder.
        bundle: network.json.
        listens: `host:port` by kind of port; empty for those not named. When none is named, the
            SOCKS5 and HTTP ports open at their usual places.

    Raises:
        ConfigError: There is no client.toml, and no bundle to write one.
        UsageError: An option cannot be used.
    """
    path = home / "client.toml"
    named = {kind: listen for kind, listen in listens.items() if listen}
    if bundle is None and not named:
        if not path.exists():
            raise ConfigError(f"no {path}", try_=("qnet client up --bundle network.json",))
        return
    if bundle is None:
        raise UsageError("ports are named together with --bundle", try_=(f"or edit {path}",))
    for listen in named.values():
        try:
            Endpoint.parse(listen)
        except ValueError as error:
            raise UsageError(str(error)) from error
    if not named:
        named = {"socks": DEFAULT_SOCKS, "http": DEFAULT_HTTP}
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = f"[network]\nbundle = {json.dumps(str(bundle.absolute()))}\n"
    for kind, listen in named.items():
        text += f"\n[{kind}]\nlisten = {json.dumps(listen)}\n"
    if "socks" not in named:
        text = "socks = []\n\n" + text
    write_atomic(path, text.encode())


def want_messages(home: Path) -> None:
    """Have the client carry messages from its next start on.

    Raises:
        ConfigError: client.toml cannot be read, or says otherwise.
    """
    path = home / "client.toml"
    if load_toml(path, ClientConfig).mix.messages:
        return
    text = path.read_text()
    if "mix" in tomllib.loads(text):
        raise ConfigError(f"{path} has a [mix] section", try_=("write messages = true in it",))
    write_atomic(path, f"{text}\n[mix]\nmessages = true\n".encode())


def start(
    home: Path,
    *,
    timeout_s: float,
    log_level: str,
    tell: Callable[[dict[str, Any]], None],
    tier: Tier | None = None,
) -> dict[str, Any]:
    """Start the client in the background and wait until it is up or says why not.

    Args:
        home: Its folder.
        timeout_s: How long it may take.
        log_level: Of its log.
        tell: Called with each stage as it changes.
        tier: What streams take; as client.toml says by default.

    Returns:
        What it says about itself.

    Raises:
        QnetError: It did not come up; the stage and the cause.
    """
    (home / "logs").mkdir(parents=True, exist_ok=True)
    errors = home / "logs" / "start.err"
    command = [
        *(sys.executable, "-m", "node.client", "--home", str(home), "--json", "--announce"),
        *("--timeout", str(timeout_s), "--log-level", log_level),
        *(() if tier is None else ("--tier", tier)),
    ]
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
        )
        assert process.stdout is not None
        with process.stdout:
            for raw in process.stdout:
                line = raw.decode()
                if line.startswith(STAGE_MARK):
                    tell(json.loads(line.removeprefix(STAGE_MARK)))
                elif line.startswith(READY_MARK):
                    facts: dict[str, Any] = json.loads(line.removeprefix(READY_MARK))
                    return {**facts, "pid": process.pid}
    process.wait(EXIT_WAIT_S)
    raise _start_error(errors.read_text(errors="replace"))


def _start_error(text: str) -> NetworkError:
    """The error the background process printed, as our own."""
    from node.io.control import RemoteControlError

    for line in text.splitlines():
        try:
            fields = json.loads(line)["error"]
        except (ValueError, KeyError, TypeError):
            continue
        raise RemoteControlError(fields)
    return NetworkError("the client did not come up", why=text.strip()[-300:])
