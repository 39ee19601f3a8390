import os
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

import pytest

from qnet.errors import NetworkError
from tools.bench import wire as wire_module
from tools.bench.lane import Shape
from tools.bench.place import HERE, NAMESPACES
from tools.bench.wire import address_of, chain, star, unusable, wire

laid = pytest.mark.skipif(bool(unusable()), reason=f"wires: {unusable()}")
ECHO_REPLY, ECHO = 0, 8


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ping(place, address, count, *, spacing_s=0.01, wait_s=2.0):
    """Round trips in ms by ICMP echo."""
    with place.inside():
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sent = {}
    times = []
    with sock:
        sock.settimeout(spacing_s)
        deadline = time.perf_counter() + count * spacing_s + wait_s
        while len(times) < count and time.perf_counter() < deadline:
            if len(sent) < count:
                number = len(sent)
                body = struct.pack("!HH", os.getpid() & 0xFFFF, number)
                head = struct.pack(
                    "!BBH", ECHO, 0, checksum(struct.pack("!BBH", ECHO, 0, 0) + body)
                )
                sent[number] = time.perf_counter()
                sock.sendto(head + body, (address, 0))
            try:
                reply = sock.recv(2048)[20:]
            except TimeoutError:
                continue
            if reply[0] == ECHO_REPLY:
                arrived = time.perf_counter()
                times.append((arrived - sent[struct.unpack("!H", reply[6:8])[0]]) * 1000)
    return times


def test_shapes_of_a_star_and_a_chain():
    shape = Shape(delay_s=0.025)
    lanes = star(["a", "b"], shape)
    assert lanes["a", "b"] == lanes["b", "a"] == shape
    assert lanes["hub", "a"] == lanes["b", "hub"] == Shape()
    line = chain(["a", "b", "c"], shape)
    assert set(line) == {("a", "b"), ("b", "a"), ("b", "c"), ("c", "b")}


def test_hosts_have_addresses_of_their_own():
    addresses = [address_of(number) for number in range(20)]
    assert len(set(addresses)) == 20
    assert len({address.rpartition(".")[0] for address in addresses[:5]}) == 5


def test_a_place_of_this_machine_needs_no_namespace():
    assert HERE.command("true") == ["true"]
    with HERE.listener() as listener:
        assert listener.getsockname()[0] == "127.0.0.1"
    assert HERE.free_port() > 0


def test_without_root_it_says_why(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NetworkError) as caught, wire(star(["a"], Shape())):
        pass
    assert "root" in caught.value.why


@laid
def test_a_ping_takes_the_delay_both_ways():
    with wire(star(["a", "b"], Shape(delay_s=0.025))) as laid:
        there = laid.places["b"].address
        ping(laid.places["a"], there, 1)
        assert 50 <= statistics.median(ping(laid.places["a"], there, 20)) <= 56
        assert statistics.median(ping(laid.places["hub"], there, 20)) < 6


@laid
def test_a_chain_connects_neighbours_only():
    with wire(chain(["a", "b", "c"], Shape())) as laid:
        assert ping(laid.places["a"], laid.places["b"].address, 1)
        assert not ping(laid.places["a"], laid.places["c"].address, 3, wait_s=0.2)
        assert laid.counts()["none"]["unroutable"] >= 3


@laid
def test_loss_takes_its_share():
    with wire(star(["a", "b"], Shape(loss=0.2))) as laid:
        ping(laid.places["a"], laid.places["b"].address, 500, spacing_s=0.001, wait_s=0.3)
        counts = laid.counts()["a>b"]
    assert counts["lost"] + counts["passed"] >= 500
    assert 0.12 <= counts["lost"] / (counts["lost"] + counts["passed"]) <= 0.28


@laid
def test_the_rate_bounds_a_download():
    size, rate = 4 * 2**20, 4e6
    with wire(star(["a", "b"], Shape(rate_bytes_s=rate))) as laid:
        listener = laid.places["b"].listener()

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(bytes(size))

        thread = threading.Thread(target=serve)
        thread.start()
        with laid.places["a"].inside():
            connection = socket.create_connection(listener.getsockname())
        started, received = time.perf_counter(), 0
        with connection, listener:
            while data := connection.recv(2**18):
                received += len(data)
        took = time.perf_counter() - started
        thread.join()
    assert received == size
    assert 0.6 * rate <= received / took <= 1.1 * rate


@laid
def test_nothing_leads_out_of_a_host():
    with wire(star(["a"], Shape())) as laid:
        shown = subprocess.run(
            laid.places["a"].command("ip", "-o", "link"), capture_output=True, text=True, check=True
        ).stdout
        assert set(re.findall(r"^\d+: ([\w@]+):", shown, re.MULTILINE)) == {"lo", "wire"}


@laid
def test_an_error_and_an_interrupt_leave_nothing_behind():
    with pytest.raises(ValueError, match="on purpose"), wire(star(["a"], Shape())):
        raise ValueError("on purpose")
    program = (
        "from tools.bench.wire import *\nimport time\n"
        "with wire(star(['a'], Shape())):\n    print('laid', flush=True)\n    time.sleep(30)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert child.stdout.readline() == b"laid\n"
    assert list(NAMESPACES.glob(f"qbench{child.pid}-*"))
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=10)
    for pid in (child.pid, os.getpid()):
        assert not list(NAMESPACES.glob(f"qbench{pid}-*"))


@laid
def test_namespaces_of_a_killed_bench_are_swept():
    program = (
        "from tools.bench.wire import *\nimport os\n"
        "with wire(star(['a'], Shape())):\n    os.kill(os.getpid(), 9)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program])
    child.wait(10)
    assert list(NAMESPACES.glob(f"qbench{child.pid}-*"))
    wire_module._sweep()
    assert not list(NAMESPACES.glob(f"qbench{child.pid}-*"))
