"""`qnet msg`: end-to-end encrypted messages over the mixnet, with answers to nobody known."""

from __future__ import annotations

import sys
from pathlib import Path

import rich_click as click

from node.client.command.ask import client_home
from node.client.mix.api import REPLIES, Messages
from node.client.mix.rows import State
from node.client.mix.words import address_rows, mail_row, mail_text, sent_rows, status_text
from qnet.cli.output import confirm, emit, say
from qnet.cli.settings import settings
from qnet.errors import UsageError

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_FAILED = 1


@click.group()
def msg() -> None:
    """Write and read messages that nobody can trace."""


@msg.command()
@click.option("--new", is_flag=True, help="Make one; needs a running client.")
@click.option("--drop", type=int, help="Give an address up, by its number.")
def address(drop: int | None, *, new: bool) -> int:
    """Show your addresses, newest first; give each conversation its own."""
    with _messages() as messages:
        if drop is not None and confirm([f"give up address {drop}", "undo   impossible"]):
            messages.drop_address(drop)
        if new:
            messages.new_address()
        rows = address_rows(messages.addresses())
    text = "\n".join(f"{row['number']:>3}  {row['address']}" for row in rows)
    emit("qnet.msg.address/1", rows, rows=rows, text=text or "none yet: one is made at first start")
    return 0 if rows else _FAILED


@msg.command()
@click.argument("recipient", metavar="ADDRESS")
@click.argument("text", required=False)
@click.option("--file", "file", type=_FILE, help="Send the content of a file.")
@click.option(
    "--replies",
    type=click.IntRange(0, 12),
    default=REPLIES,
    show_default=True,
    help="Reply blocks: one for each ten minutes in which it can be answered.",
)
@click.option(
    "--wait", "wait_s", type=float, default=0.0, help="Wait so many seconds until it is there."
)
def send(recipient: str, text: str | None, file: Path | None, replies: int, wait_s: float) -> int:
    """Send TEXT, a file, or standard input; it is kept and sent again until it is there."""
    with _messages() as messages:
        message_id = messages.send(recipient, _content(text, file), replies=replies)
        state = messages.wait_delivered(message_id, wait_s) if wait_s > 0 else State.WAITING
    emit("qnet.msg.send/1", {"id": message_id.hex(), "state": str(state)})
    return _FAILED if state is State.FAILED or (wait_s > 0 and state is State.WAITING) else 0


@msg.command()
@click.option("--wait", "wait_s", type=float, default=0.0, help="Wait so many seconds for one.")
@click.option("--all", "everything", is_flag=True, help="Those that were read, too.")
@click.option("--delete", is_flag=True, help="Delete them after showing them.")
def recv(wait_s: float, *, everything: bool, delete: bool) -> int:
    """Show unread messages; exit 1 when there is none."""
    with _messages() as messages:
        if everything:
            found = messages.after(0)
            while found and (more := messages.after(found[-1].number)):
                found += more
        else:
            found = messages.wait_unread(wait_s) if wait_s > 0 else messages.unread()
        rows = [mail_row(mail) for mail in found]
        text = "\n".join(mail_text(mail) for mail in found).rstrip("\n")
        emit("qnet.msg.recv/1", rows, rows=rows, text=text or "no messages")
        sys.stdout.flush()
        messages.mark_read([mail.number for mail in found])
        if delete:
            for mail in found:
                messages.delete(mail.number)
    return 0 if found else _FAILED


@msg.command()
@click.argument("number", type=int)
@click.argument("text", required=False)
@click.option("--file", "file", type=_FILE, help="Send the content of a file.")
def reply(number: int, text: str | None, file: Path | None) -> None:
    """Answer message NUMBER; you learn nothing of who asked, and not whether it arrived."""
    with _messages() as messages:
        message_id = messages.reply(number, _content(text, file))
    emit("qnet.msg.reply/1", {"id": message_id.hex(), "to": number})


@msg.command()
def status() -> int:
    """Show how it stands in the mixnet and what became of what you sent; exit 1 when it is off."""
    with _messages() as messages:
        mix = messages.status()
        found = {
            "mix": mix,
            "unread": len(messages.unread()),
            "sent": sent_rows(messages.sent(), messages.answers()),
        }
    emit("qnet.msg.status/1", found, text=status_text(found))
    return 0 if mix is not None and mix["state"] == "up" else _FAILED


def _messages() -> Messages:
    return Messages(client_home(), timeout_s=settings().timeout)


def _content(text: str | None, file: Path | None) -> bytes:
    if text is not None and file is not None:
        raise UsageError("name a text or a file, not both")
    if file is not None:
        return file.read_bytes()
    if text is not None:
        return text.encode()
    if sys.stdin.isatty():
        say("end the message with Ctrl-D")
    return sys.stdin.buffer.read()
