"""Messages from Python: what `qnet msg` does.

Everything is kept in the client's home, so messages can be written and read while no client runs;
they leave and come while one does. Methods block; call them from a thread in asyncio programs.

```python
from pathlib import Path
from node.client.mix.api import Messages

with Messages(Path.home() / ".qnet" / "client") as messages:
    messages.send("qmix1…", b"hello")
    for mail in messages.wait_unread(60):
        messages.reply(mail.number, b"thank you")
        messages.mark_read([mail.number])
```
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

from node.client.mix.message_file import FILE
from node.client.mix.rows import Answer, Incoming, Outgoing, OwnAddress, State
from node.client.mix.store import MessageStore
from node.errors import NodeOffError
from node.io.control import call_blocking
from node.mix.address import parse_mail_address
from node.mix.frame import MESSAGE_ID_BYTES, REPLY_BYTES
from node.mix.mail import MAX_BODY_BYTES, MAX_REPLIES
from node.mix.surb import SURB_BYTES
from qnet.errors import ConfigError, NotFoundError, UsageError

REPLIES: Final = 5
"""Reply blocks of a message, unless wished otherwise: one for this key phase and each of the next
four. They leave 312 bytes for text in one packet."""
SLICE_S: Final = 20.0
"""Longest wait that the client is asked for at once."""
MANY: Final = 100


class Messages:
    """Messages of one client.

    Args:
        home: the client's folder.
        timeout_s: longest wait for an answer of the running client.

    Raises:
        ConfigError: there is no client in that folder.
    """

    def __init__(self, home: Path, *, timeout_s: float = 30.0) -> None:
        if not (home / "client.toml").exists():
            hint = "qnet client up --bundle network.json --messages"
            raise ConfigError(f"no {home / 'client.toml'}", try_=(hint,))
        self._socket = home / "control.sock"
        self._timeout_s = timeout_s
        self._store = MessageStore(home / FILE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._store.close()

    # addresses

    def addresses(self) -> list[OwnAddress]:
        """All of ours, oldest first; those that were given up have no mailbox."""
        return self._store.addresses.rows()

    def new_address(self) -> OwnAddress:
        """Make an address at the guard in use.

        Raises:
            NodeOffError: no client runs.
            RemoteControlError: it carries no messages, reaches no guard, or has seven already.
        """
        number = self._ask("msg.address")["number"]
        return next(row for row in self.addresses() if row.number == number)

    def drop_address(self, number: int) -> None:
        """Give an address up: nothing to it can be read any more.

        Raises:
            NotFoundError: there is none of that number.
        """
        self._store.addresses.drop(number)
        self._wake()

    # out

    def send(self, address: str, text: bytes, *, replies: int = REPLIES) -> bytes:
        """Write a message; returns its id (16 bytes).

        Args:
            address: of the recipient, `qmix1…`.
            text: up to 438,527 bytes less 280 for each reply block.
            replies: reply blocks, 0 to 12.

        Raises:
            UsageError: no such address, too long, or too many reply blocks.
            RejectedError: too many messages wait.
        """
        if not 0 <= replies <= MAX_REPLIES:
            raise UsageError(f"a message has at most {MAX_REPLIES} reply blocks")
        most = MAX_BODY_BYTES - 1 - replies * SURB_BYTES
        if len(text) > most:
            raise UsageError(f"the message has {len(text)} bytes", why=f"{most} at most")
        recipient = str(parse_mail_address(address))
        message_id = secrets.token_bytes(MESSAGE_ID_BYTES)
        self._store.sent.add(message_id, recipient, text, replies, time.time())
        self._wake()
        return message_id

    def reply(self, number: int, text: bytes) -> bytes:
        """Answer a message; returns the answer's id (16 bytes).

        Raises:
            NotFoundError: there is no message of that number.
            RejectedError: it has no reply block left, or too many answers wait.
            UsageError: too long.
        """
        most = MAX_REPLIES * REPLY_BYTES
        if len(text) > most:
            raise UsageError(f"the answer has {len(text)} bytes", why=f"{most} at most")
        message_id = secrets.token_bytes(MESSAGE_ID_BYTES)
        self._store.answers.add(message_id, number, text, time.time())
        self._wake()
        return message_id

    def sent(self) -> list[Outgoing]:
        """Messages of ours, newest first; a week after their end they are forgotten."""
        return self._store.sent.rows()

    def answers(self) -> list[Answer]:
        """Answers of ours, newest first."""
        return self._store.answers.rows()

    def wait_delivered(self, message_id: bytes, wait_s: float) -> State:
        """Wait until a message is delivered or failed; returns how far it is.

        Raises:
            NotFoundError: there is no message of that id (16 bytes).
            NodeOffError: no client runs.
        """

        def look() -> State | None:
            state = self._state(message_id)
            return None if state is State.WAITING else state

        return self._await(look, wait_s) or State.WAITING

    # in

    def unread(self, limit: int = MANY) -> list[Incoming]:
        """Messages that were not marked as read, oldest first."""
        return self._store.received.unread(limit)

    def wait_unread(self, wait_s: float, limit: int = MANY) -> list[Incoming]:
        """The same, once there is one; none if none came in time.

        Raises:
            NodeOffError: no client runs.
        """
        return self._await(lambda: self.unread(limit) or None, wait_s) or []

    def after(self, number: int, limit: int = MANY) -> list[Incoming]:
        """Messages with a higher number, read or not, oldest first."""
        return self._store.received.after(number, limit)

    def mark_read(self, numbers: Sequence[int]) -> None:
        """Say that messages were read."""
        self._store.received.mark_read(numbers, time.time())

    def delete(self, number: int) -> None:
        """Delete a message that came.

        Raises:
            NotFoundError: there is none of that number.
        """
        self._store.received.delete(number, time.time())

    # the client

    def status(self) -> dict[str, Any] | None:
        """How the running client stands in the mixnet; None if none runs.

        Raises:
            RemoteControlError: it carries no messages.
        """
        try:
            found: dict[str, Any] = self._ask("msg.status")
        except NodeOffError:
            return None
        return found

    def _state(self, message_id: bytes) -> State:
        for row in self._store.sent.rows(message_id):
            return row.state
        raise NotFoundError("no such message")

    def _await(self, look: Any, wait_s: float) -> Any:
        """What `look` finds, asked again at all news, until it finds something or time is up."""
        ends_at = time.monotonic() + wait_s
        seen = -1
        while (found := look()) is None and (left_s := ends_at - time.monotonic()) > 0:
            slice_s = min(left_s, SLICE_S) if seen >= 0 else 0.0
            seen = self._ask("msg.wait", seen=seen, wait_ms=round(slice_s * 1000))["news"]
        return found

    def _ask(self, command: str, **arguments: Any) -> Any:
        ask = partial(call_blocking, self._socket, command, **arguments)
        with ThreadPoolExecutor(1) as thread:  # the caller's may run an event loop
            return thread.submit(ask, timeout_s=self._timeout_s + SLICE_S).result()

    def _wake(self) -> None:
        """Tell a running client; one that is off looks when it starts."""
        with suppress(NodeOffError):
            self._ask("msg.wake")
