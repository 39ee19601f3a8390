from node.client.doors.door import Command, Request
from node.client.doors.listener import Listener


def request(host, label=b"", port=443):
    return Request(Command.CONNECT, host, port, label)


def test_beyond_the_cap_the_next_ones_are_counted_as_dropped():
    listener = Listener("socks", "127.0.0.1:1", max_connections=2)
    assert [listener.admit() for _ in range(3)] == [True, True, False]
    listener.leave()
    assert listener.admit()
    row = listener.row()
    assert (row["active"], row["accepted"], row["dropped"]) == (2, 3, 1)


def test_ports_labels_and_destinations_are_kept_apart_as_configured():
    apart = Listener("socks", "127.0.0.1:1", isolate={"listener", "label", "destination"})
    other = Listener("socks", "127.0.0.1:2", isolate={"listener", "label", "destination"})
    keys = {
        apart.key(request("a.example")),
        apart.key(request("b.example")),
        apart.key(request("a.example", b"x")),
        other.key(request("a.example")),
    }
    assert len(keys) == 4
    shared = [Listener("http", f"127.0.0.1:{port}", isolate=()) for port in (1, 2)]
    assert shared[0].key(request("a.example", b"x")) == shared[1].key(request("b.example"))
