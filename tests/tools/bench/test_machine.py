import os

from tools.bench.machine import Figure, cpu_seconds, machine


def test_the_machine_names_itself():
    told = machine()
    assert told["cores"] == os.cpu_count()
    assert told["versions"]["qnet"]


def test_a_figure_is_median_and_spread():
    row = Figure("x", "MB/s", [1.0, 2.0, 3.0, 4.0, 100.0]).row()
    assert (row["qnet"], row["n"], row["best"]) == (3.0, 5, 100.0)
    assert row["spread"] == 1.0
    assert Figure("y", "ms", [5.0]).row()["spread"] == 0.0
    assert Figure("y", "ms", [5.0, 1.0]).row()["best"] == 1.0


def test_processor_time():
    assert cpu_seconds(os.getpid()) > 0
    assert cpu_seconds(2**30) == 0.0
