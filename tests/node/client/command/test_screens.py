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
