"""What people see of messages; what strangers wrote is shown without control characters."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from node.client.mix.figures import latency_words
from node.client.mix.rows import Answer, Incoming, Outgoing, OwnAddress

Row = dict[str, Any]


def mail_row(mail: Incoming) -> Row:
    """A message as JSON; `data` (base64) stands in place of `text` if it is not text."""
    row = {
        "number": mail.number,
        "received_at": moment(mail.received_at),
        "to": mail.address,
        "answers": mail.about.hex(),
        "replies": mail.blocks,
    }
    try:
        return row | {"text": mail.text.decode()}
    except UnicodeDecodeError:
        return row | {"data": b64encode(mail.text).decode()}


def mail_text(mail: Incoming) -> str:
    """A message for a terminal."""
    about = f"answer to {mail.about.hex()[:16]}" if mail.about else f"to {mail.address}"
    can = f"{mail.blocks} reply blocks" if mail.blocks else "no reply blocks"
    head = f"message {mail.number}, {moment(mail.received_at)}, {about}, {can}"
    return f"{head}\n\n{shown(mail.text)}\n"


def shown(text: bytes) -> str:
    """Text without what would move a cursor or colour a screen."""
    decoded = text.decode(errors="replace")
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in decoded
    )


def address_rows(addresses: Sequence[OwnAddress]) -> list[Row]:
    """Addresses that are read, newest first."""
    return [
        {
            "number": row.number,
            "address": row.text,
            "node": row.mailbox.node_index,
            "made_at": moment(row.made_at),
        }
        for row in reversed(addresses)
        if row.mailbox is not None
    ]


def sent_rows(sent: Sequence[Outgoing], answers: Sequence[Answer]) -> list[Row]:
    """Messages and answers of ours, newest first."""
    rows = [
        (row.made_at, _sent_row(row.message_id, row.recipient, row.state, row.rounds, row.why))
        for row in sent
    ]
    rows += [
        (row.made_at, _sent_row(row.message_id, f"answer to {row.number}", row.state, 0, row.why))
        for row in answers
    ]
    return [row | {"made_at": moment(at)} for at, row in sorted(rows, key=_first, reverse=True)]


def status_text(found: Mapping[str, Any]) -> str:
    """`qnet msg status` as text."""
    blocks = [mix_lines(found["mix"]) if found["mix"] else ["no client runs: messages wait"]]
    blocks.append([f"unread     {found['unread']}"])
    blocks.append(
        [
            f"{row['id'][:16]}  {row['state']:<9}  {row['to'][:24]}  {row['why']}".rstrip()
            for row in found["sent"]
        ]
    )
    return "\n\n".join("\n".join(block) for block in blocks if block)


def mix_lines(mix: Mapping[str, Any]) -> list[str]:
    """How the client stands in the mixnet."""
    cost = f"{mix['packets_s']:g} packets/s, {mix['cost_bytes_s'] / 1000:g} kB/s, always"
    lines = [f"mixnet     {mix['state']}", f"cost       {cost}"]
    if mix["problem"]:
        lines.append(f"problem    {mix['problem']}")
    if "latency" not in mix:
        return lines
    loops = mix["loops"]
    alarm = "; ALARM: somebody holds packets back" if loops["alarm"] else ""
    return [
        *lines,
        f"guard      node {mix['guard']}",
        f"latency    {latency_words(mix['latency'])}",
        f"loops      {loops['lost']} of {loops['judged']} lost{alarm}",
    ]


def moment(at: float) -> str:
    """A unix time as RFC 3339, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _sent_row(message_id: bytes, to: str, state: str, rounds: int, why: str) -> Row:
    return {"id": message_id.hex(), "to": to, "state": str(state), "rounds": rounds, "why": why}


def _first(pair: tuple[float, Row]) -> float:
    return pair[0]
