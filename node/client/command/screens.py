"""What people see of a client: text and table rows made from the answers of its control socket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from node.client.mix.words import mix_lines

Row = dict[str, Any]

_HOPS = ("entry", "middle", "exit")
_SHOWN_EVENTS = 5


def status_text(facts: Mapping[str, Any]) -> str:
    """`qnet client status` as text: one block for each part."""
    blocks = [
        _heading(facts),
        ["stages", *(stage_words(row) for row in facts["stages"])],
        ["guards", *(f"  {guard}" for guard in facts["guards"])],
        ["circuits", *_circuits(facts)],
        ["streams", "  " + _counts(facts["streams"])],
        ["streams over the mixnet", *_tunnels(facts.get("mix_streams"))],
        ["mixnet", *("  " + line for line in mix_lines(facts["mix"]))] if facts.get("mix") else [],
        ["ports", *(_listener(row) for row in facts["listeners"])],
        ["events", *_events(facts)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if len(block) > 1)


def stage_words(row: Mapping[str, Any]) -> str:
    """How one stage stands, in a line."""
    state = {"passed": "ok"}.get(row["state"], row["state"])
    return f"  {row['stage']:<10} {state:<8} {row['cause']}".rstrip()


def circuit_rows(rows: Sequence[Row]) -> list[Row]:
    """The table of circuits; paths as text, and for each hop its weight and units paid."""
    return [_circuit_row(row) for row in rows]


def _circuit_row(row: Row) -> Row:
    shown = {
        name: " > ".join(map(str, value)) if isinstance(value, list) else value
        for name, value in row.items()
        if name != "payments"
    }
    paid = row.get("payments") or ()
    shown["premium"] = " > ".join("premium" if hop["premium"] else "free" for hop in paid)
    shown["units"] = " > ".join(str(hop["units"]) for hop in paid)
    return shown


def exit_rows(rows: Sequence[Row]) -> list[Row]:
    """The table of exits; the share in per cent."""
    return [
        {
            "node": row["index"],
            "country": row["country"] or "unknown",
            "share": f"{row['share_ppm'] / 10_000:.2f} %",
            "mbit_s": round(row["kbps"] / 1000, 1),
            "admits_port": "yes" if row["admits_port"] else "no",
            "usable": "yes" if row["usable"] else "no",
            "policy": row["policy"],
        }
        for row in rows
    ]


def speed_rows(found: Mapping[str, Any]) -> list[Row]:
    """The table of a measurement; what could not be measured is empty."""
    rows: list[Row] = [{"what": "circuit built", "value": found["build_ms"], "unit": "ms"}]
    for position, trip in enumerate(found["round_trip_ms"]):
        hop = _HOPS[position] if position < len(_HOPS) else f"hop {position + 1}"
        rows.append({"what": f"round trip to the {hop}", "value": trip, "unit": "ms"})
    if "first_byte_ms" in found:
        rows.append({"what": "first byte", "value": found["first_byte_ms"], "unit": "ms"})
    goodput = found["goodput_bytes_s"]
    shown = None if goodput is None else round(goodput / 1e6, 2)
    rows.append({"what": "goodput", "value": shown, "unit": "MB/s"})
    return rows


def moment(at: float) -> str:
    """A unix time as RFC 3339, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _heading(facts: Mapping[str, Any]) -> list[str]:
    consensus = facts["consensus"]
    held = "none"
    if consensus is not None:
        held = f"{consensus['nodes']} nodes, valid after {moment(consensus['valid_after'])}"
    lines = [
        f"state      {facts['state']}, for {facts['uptime_s']} s",
        f"consensus  {held}",
        f"users      {facts['users']} ({facts['anonymity']})",
    ]
    if facts["problem"]:
        lines.append(f"problem    {facts['problem']}")
    if facts["last_error"]:
        error = facts["last_error"]
        lines.append(f"last error {error['message']}: {error['why']}")
    return lines


def _circuits(facts: Mapping[str, Any]) -> list[str]:
    lines = ["  " + _counts(facts["circuits"])]
    for row in circuit_rows(facts["paths"]):
        trip = row.get("round_trip_ms")
        measured = f", round trip {trip} ms" if trip else ""
        lines.append(f"  {row['path']}  {row['state']}, {row['streams']} streams{measured}")
    return lines


def _tunnels(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return []
    trip, connect = (_measured(found[name]) for name in ("round_trip_ms", "connect_ms"))
    crowd = found["crowd_at_most"]
    down, up = (found[f"{way}_bytes_s_at_most"] / 1000 for way in ("down", "up"))
    return [
        f"  round trip {trip}, connecting {connect}",
        f"  delays of mixes and waits for turns are {found['round_trip_ms_expected']} ms of it",
        f"  rate at most {down:.0f} kB/s down, {up:.0f} up, at {found['packets_s']:g} packets/s",
        f"  crowd at most {crowd} users for one packet; the longer a stream, the fewer",
        "  " + _counts(found["tunnels"]),
        *map(_tunnel, found["paths"]),
    ]


def _measured(value: int | None) -> str:
    return "not measured yet" if value is None else f"{value} ms"


def _tunnel(row: Mapping[str, Any]) -> str:
    carried = f"{row['bytes_received']} bytes down, {row['bytes_sent']} up"
    return f"  exit {row['exit']}  {row['state']}, {row['streams']} streams, {carried}"


def _counts(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items())


def _listener(row: Mapping[str, Any]) -> str:
    apart = ", ".join(row["isolate"]) or "nothing"
    dropped = f", {row['dropped']} dropped" if row["dropped"] else ""
    return (
        f"  {row['kind']:<6} {row['listen']:<22} {row['active']} active, "
        f"{row['accepted']} so far{dropped}; keeps apart by {apart}"
    )


def _events(facts: Mapping[str, Any]) -> list[str]:
    last = list(facts["events"])[-_SHOWN_EVENTS:]
    lines = []
    for event in last:
        rebuilt = event.get("rebuilt_s")
        again = f"; another one stood after {rebuilt} s" if rebuilt is not None else ""
        path = " > ".join(map(str, event["path"]))
        lines.append(f"  {moment(event['at'])} {path} {event['what']}: {event['cause']}{again}")
    return lines
