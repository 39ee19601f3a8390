import importlib
import secrets

import pytest

from node.circuit import budget
from node.circuit.budget import (
    CLIENT_BURST,
    CLIENT_PER_S,
    CLIENT_START,
    NODE_BURST,
    NODE_PER_S,
    SetupBudgets,
)
from node.circuit.cell import Command, decode_header, destroy_cell, encode_header
from node.circuit.keys.phase import REPLAY_CAPACITY
from node.circuit.setup import build_create
from node.htx.gate import TokenBuckets
from qnet.parameters import BOUNDS, NetworkParameters
from tests.node.circuit.network import PHASE, Network

NODE = b"n" * 32


def spend(bucket, now):
    """How many setups it gives at once."""
    count = 0
    while bucket.take(now):
        count += 1
    return count


def test_a_client_starts_small_and_saves_up_to_its_burst():
    bucket = SetupBudgets().open(100.0, client=True, node_id=None)
    assert spend(bucket, 100.0) == CLIENT_START
    assert spend(bucket, 101.0) == CLIENT_PER_S
    assert spend(bucket, 10_000.0) == CLIENT_BURST


def test_a_clock_that_stands_still_or_steps_back_gives_nothing():
    bucket = SetupBudgets().open(100.0, client=True, node_id=None)
    spend(bucket, 100.0)
    assert not bucket.take(100.0)
    assert not bucket.take(50.0)


def test_a_node_has_one_budget_over_all_its_links():
    budgets = SetupBudgets()
    assert spend(budgets.open(5.0, client=False, node_id=NODE), 5.0) == NODE_BURST
    assert spend(budgets.open(6.0, client=False, node_id=NODE), 6.0) == NODE_PER_S
    assert spend(budgets.open(6.0, client=False, node_id=b"o" * 32), 6.0) == NODE_BURST


def test_the_memory_of_nodes_is_bounded_and_forgets_only_what_is_whole(monkeypatch):
    monkeypatch.setattr(budget, "MAX_NODES_KNOWN", 2)
    budgets = SetupBudgets()
    budgets.open(0.0, client=False, node_id=NODE).take(0.0)
    budgets.open(0.0, client=False, node_id=b"whole" * 4)
    budgets.open(0.0, client=False, node_id=b"new" * 4)
    assert len(budgets._nodes) == 2
    assert spend(budgets.open(0.0, client=False, node_id=NODE), 0.0) == NODE_BURST - 1


@pytest.mark.parametrize("client", [True, False])
def test_one_link_cannot_flood_a_node_with_setups(client):
    network = Network()
    core = network.cores[0]
    core.tick(network.now)
    core.link_opened(70, outgoing=False, client=client)
    most = CLIENT_START if client else NODE_BURST
    refused_before = core.setups_refused

    def ask(number):
        body = build_create(network.hops(0), PHASE, secrets.token_bytes)[0]
        cell = encode_header(number, Command.CREATE, PHASE) + body
        assert not core.handle_cells(70, [cell], network.now)
        commands = [decode_header(answer)[1] for answer in core.pull(70, 10)]
        core.handle_cells(70, [destroy_cell(number)], network.now)
        core.pull(70, 10)
        return commands

    core._setups._budget_of[70].level = min(most, 30)
    asked = [ask(number) for number in range(1, 41)]
    served = sum(Command.CREATED in answer for answer in asked)
    assert served == min(most, 30)
    assert asked[-1] == [Command.DESTROY]
    assert core.setups_refused - refused_before == 40 - served
    assert core.setups_over_budget == 40 - served
    assert len(network.keyrings[0]._phases[PHASE].seen) == served
    network.now += 1.0
    assert ask(41)[0] is Command.CREATED


def test_the_arithmetic_of_the_page():
    """QN-CIR-013: a set takes setups for three phases; one peer cannot fill it."""
    longest = 3 * BOUNDS["key_phase_s"].high
    assert NODE_BURST + NODE_PER_S * longest == 695_296 < REPLAY_CAPACITY
    assert CLIENT_BURST + CLIENT_PER_S * longest == 173_056 < REPLAY_CAPACITY
    usual = 3 * NetworkParameters.profile("main").key_phase_s
    gate = TokenBuckets()
    reopened = gate.burst * CLIENT_START + (gate.rate * CLIENT_START + CLIENT_PER_S) * usual
    assert reopened == 897_600 < REPLAY_CAPACITY
    assert importlib.import_module("node.circuit.setups").MAX_CIRCUITS < REPLAY_CAPACITY
