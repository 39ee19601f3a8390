"""What people see of messages."""

from node.client.mix.figures import latency, latency_words
from node.client.mix.rows import Incoming
from node.client.mix.words import mail_row, mail_text, mix_lines, shown

MAIL = Incoming(1, "qmix1abc", b"", b"hello", 1_800_000_000.0, 2)


def test_control_characters_of_strangers_do_nothing():
    assert shown(b"a\x1b[2Jb\r\x07\tc\nd\xff") == "a�[2Jb��\tc\nd�"
    assert shown("überall \u202e".encode()) == "überall �"


def test_a_message_as_text_and_row():
    assert mail_text(MAIL).startswith("message 1, 2027-01-15T08:00:00Z, to qmix1abc, 2 reply")
    assert mail_row(MAIL)["text"] == "hello"
    binary = Incoming(2, "", b"a" * 16, b"\xff\x00", 1.0, 0)
    assert mail_row(binary)["data"] == "/wA="
    assert "answer to 6161616161616161, no reply blocks" in mail_text(binary)


def test_figures():
    none = latency([], None)
    assert none["one_way_median_ms"] is None
    assert "not measured" in latency_words(none)
    some = latency([number / 100 for number in range(1, 21)], 2.5)
    assert some == {
        "one_way_median_ms": 105,
        "one_way_p95_ms": 200,
        "loops": 20,
        "acknowledged_ms": 2500,
    }
    words = latency_words(some)
    assert words == (
        "105 ms one way in the median, 95 % within 200 ms (last 20 loops);"
        " 2500 ms until acknowledged"
    )


def test_an_alarm_is_told():
    mix = {
        "state": "up",
        "problem": "",
        "packets_s": 1.0,
        "cost_bytes_s": 2336,
        "guard": 1,
        "latency": latency([0.1], None),
        "loops": {"lost": 12, "judged": 64, "alarm": True},
    }
    assert "ALARM" in mix_lines(mix)[-1]
    waiting = {"state": "waiting", "problem": "no guard", "packets_s": 1.0, "cost_bytes_s": 2336}
    assert mix_lines(waiting)[-1] == "problem    no guard"
