"""One deployed network per module; every test starts from it."""

import itertools
import time

import pytest
from brownie import network, web3
from web3.exceptions import TransactionNotFound
from world import World

GAS_LIMIT = 11_000_000
LOOKUPS = 40
LOOKUP_PAUSE_S = 0.05


@pytest.fixture(scope="session", autouse=True)
def patient_lookup():
    """Ask again for a transaction the chain counts already and does not show yet.

    Brownie sees the sender's nonce rise, misses the transaction, and calls it dropped; on a busy
    machine anvil needs a moment between the two.
    """
    lookup = web3.eth.get_transaction

    def get_transaction(transaction_hash):
        for _ in range(LOOKUPS):
            try:
                return lookup(transaction_hash)
            except TransactionNotFound:
                time.sleep(LOOKUP_PAUSE_S)
        return lookup(transaction_hash)

    web3.eth.get_transaction = get_transaction
    yield
    web3.eth.get_transaction = lookup


@pytest.fixture(autouse=True)
def isolation(fn_isolation, gas_limits):
    """Undo what a test did on the chain.

    Each test has a gas limit of its own: repeated after a revert, the same transaction would have
    the same hash, and anvil sometimes loses it.
    """
    network.gas_limit(next(gas_limits))


@pytest.fixture(scope="session")
def gas_limits():
    return itertools.count(GAS_LIMIT)


@pytest.fixture(scope="module")
def world(module_isolation):
    return World()
