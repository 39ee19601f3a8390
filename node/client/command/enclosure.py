"""A network namespace in which the client's ports are the only way out (Linux).

`python -m node.client.command.enclosure SOCKET PORTS… -- COMMAND…` leaves the network of this
machine for an empty one, listens there on the same loopback addresses as the client outside, hands
these sockets to the process at the other end of SOCKET (a descriptor), which serves them, and
becomes COMMAND. No interface leads out, so a program that ignores the proxy reaches nothing.
Services that resolve or connect on request over a file (nscd, systemd-resolved, D-Bus, Docker) are
covered up.

It keeps programs from leaking by mistake. A program that means harm and runs as the same user can
ask other processes of that user to connect for it.

Source: unshare(2), user_namespaces(7), mount_namespaces(7), netdevice(7).
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from node.config import Endpoint

CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWNET: Final = 0x4000_0000

HIDDEN: Final = (
    *("/run/nscd", "/var/run/nscd", "/run/systemd/resolve", "/run/dbus", "/run/avahi-daemon"),
    *("/run/docker.sock", "/run/podman", "/run/containerd"),
)
"""Folders and sockets behind which something connects for others; /run/user/ID/bus comes too."""

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16_384, 1 << 18
_BACKLOG = 128
_EXIT_REFUSED = 6
_EXIT_NOT_FOUND = 3


def main(arguments: Sequence[str]) -> NoReturn:
    """Enter, hand the listeners over, become the command."""
    split = arguments.index("--")
    ports = [Endpoint.parse(text) for text in arguments[1:split]]
    with socket.socket(fileno=int(arguments[0])) as channel:
        try:
            listeners = enter(ports)
        except OSError as error:
            cause = {"step": error.filename or "listen", "why": error.strerror or str(error)}
            _say(channel, [], cause)
            sys.exit(_EXIT_REFUSED)
        _say(channel, listeners, {})
    for listener in listeners:
        listener.close()
    command = list(arguments[split + 1 :])
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command the person gave, without a shell
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        sys.exit(_EXIT_NOT_FOUND)


def enter(ports: Sequence[Endpoint]) -> list[socket.socket]:
    """Move this process into a network of its own.

    Args:
        ports: Loopback addresses to listen on there.

    Raises:
        OSError: The kernel does not allow it; `filename` says which step.
    """
    user, group = os.getuid(), os.getgid()
    _call("unshare", CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"{user} {user} 1")
    (own / "gid_map").write_text(f"{group} {group} 1")
    _bring_loopback_up()
    _call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    for path in (*map(Path, HIDDEN), Path(f"/run/user/{user}/bus")):
        _cover(path)
    listeners = []
    for port in ports:
        family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
        address = (port.host, port.port)
        listeners.append(socket.create_server(address, family=family, backlog=_BACKLOG))
    return listeners


def _bring_loopback_up() -> None:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(probe, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _cover(path: Path) -> None:
    """Put an empty folder or file over a path, for this process and its children only."""
    if path.is_dir():
        _call("mount", b"none", os.fsencode(path), b"tmpfs", 0, None)
    elif path.exists():
        _call("mount", b"/dev/null", os.fsencode(path), None, _MS_BIND, None)


def _call(name: str, *arguments: bytes | int | None) -> None:
    """Call the C library; `filename` of the error names the call."""
    libc = ctypes.CDLL(None, use_errno=True)
    plain = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    if getattr(libc, name)(*plain) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def _say(channel: socket.socket, listeners: Sequence[socket.socket], said: dict[str, str]) -> None:
    numbers = [listener.fileno() for listener in listeners]
    socket.send_fds(channel, [json.dumps(said).encode()], numbers)


if __name__ == "__main__":
    main(sys.argv[1:])
