from node.client.command.screens import (
    circuit_rows,
    exit_rows,
    moment,
    speed_rows,
    stage_words,
    status_text,
)

FACTS = {
    "state": "up",
    "uptime_s": 5,
    "consensus": {"nodes": 3, "valid_after": 1_800_000_000},
    "users": 7,
    "anonymity": "small",
    "problem": "",
    "last_error": {"message": "connect: no connection", "why": "refused"},
    "stages": [{"stage": "clock", "state": "passed", "cause": ""}],
    "guards": ["ab12"],
    "circuits": {"open": 1, "built": 2, "failed": 1},
    "paths": [
        {"path": [1, 2, 3], "roles": ["entry"], "state": "in use", "streams": 2, "round_trip_ms": 9}
    ],
    "streams": {"active": 1, "raw_addresses": 0},
    "listeners": [
        *({"kind": "socks", "listen": "h:1", "active": 1, "accepted": 4, "dropped": 2},),
    ],
    "events": [
        {"at": 1_800_000_000, "path": [1, 2, 3], "what": "failed", "cause": "x", "rebuilt_s": 0.5}
    ],
}
FACTS["listeners"][0]["isolate"] = ["label"]


def test_status_says_it_all():
    text = status_text(FACTS)
    for part in (
        "consensus  3 nodes, valid after 2027-01-15T08:00:00Z",
        "last error connect: no connection: refused",
        "clock      ok",
        "1 > 2 > 3  in use, 2 streams, round trip 9 ms",
        "4 so far, 2 dropped; keeps apart by label",
        "another one stood after 0.5 s",
    ):
        assert part in text


def test_a_client_that_has_nothing_yet_is_shown_too():
    empty = FACTS | {"consensus": None, "events": [], "guards": [], "last_error": {}}
    text = status_text(empty | {"problem": "seed: no answer"})
    assert "consensus  none" in text
    assert "problem    seed: no answer" in text
    assert "guards" not in text


def test_a_failed_stage_keeps_its_cause():
    row = {"stage": "portal", "state": "failed", "cause": "somebody else answers"}
    assert stage_words(row) == "  portal     failed   somebody else answers"


def test_tables():
    assert circuit_rows(FACTS["paths"])[0]["path"] == "1 > 2 > 3"
    hops = [{"premium": True, "units": 12}, {"premium": False, "units": 0}]
    (row,) = circuit_rows([FACTS["paths"][0] | {"payments": hops}])
    assert (row["premium"], row["units"]) == ("premium > free", "12 > 0")
    assert "payments" not in row
    row = {"index": 3, "country": "", "share_ppm": 12_345, "kbps": 1500, "policy": "web"}
    (shown,) = exit_rows([row | {"admits_port": True, "usable": False}])
    assert (shown["country"], shown["share"], shown["mbit_s"]) == ("unknown", "1.23 %", 1.5)
    assert (shown["admits_port"], shown["usable"]) == ("yes", "no")
    found = {"build_ms": 12.0, "round_trip_ms": [1.0, None, 3.0], "goodput_bytes_s": None}
    rows = speed_rows(found)
    assert [row["value"] for row in rows] == [12.0, 1.0, None, 3.0, None]
    with_page = speed_rows(found | {"goodput_bytes_s": 2_500_000, "first_byte_ms": 80.0})
    assert with_page[-1]["value"] == 2.5
    assert with_page[-2]["what"] == "first byte"


def test_moments_are_utc():
    assert moment(0) == "1970-01-01T00:00:00Z"


def test_status_says_what_streams_over_the_mixnet_can_expect():
    found = {
        "round_trip_ms": None,
        "connect_ms": 310,
        "round_trip_ms_expected": 242,
        "down_bytes_s_at_most": 221_312,
        "up_bytes_s_at_most": 27_056,
        "packets_s": 20.0,
        "crowd_at_most": 40,
        "tunnels": {"open": 1, "opened": 2, "failed": 1},
        "paths": [
            {"exit": 7, "state": "in use", "streams": 2, "bytes_received": 9, "bytes_sent": 5}
        ],
    }
    lines = status_text(FACTS | {"mix_streams": found}).split("streams over the mixnet\n")[1]
    assert lines.splitlines()[:6] == [
        "  round trip not measured yet, connecting 310 ms",
        "  delays of mixes and waits for turns are 242 ms of it",
        "  rate at most 221 kB/s down, 27 up, at 20 packets/s",
        "  crowd at most 40 users for one packet; the longer a stream, the fewer",
        "  1 open, 2 opened, 1 failed",
        "  exit 7  in use, 2 streams, 9 bytes down, 5 up",
    ]
    assert "over the mixnet" not in status_text(FACTS | {"mix_streams": None})
