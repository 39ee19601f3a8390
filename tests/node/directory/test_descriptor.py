import pytest

from node.directory.descriptor import next_publication
from qnet.epochs import consensus_phases
from qnet.errors import DecodeError
from qnet.messages.descriptor import Role
from qnet.parameters import NetworkParameters
from tests.support.signed_network import PERIOD, NodeKeys

MAIN = NetworkParameters.profile("main")
DEVNET = NetworkParameters.profile("devnet")


@pytest.mark.parametrize("parameters", [MAIN, DEVNET], ids=["main", "devnet"])
def test_publication_is_due_before_the_period(parameters: NetworkParameters) -> None:
    interval, lead = parameters.consensus_interval_s, parameters.descriptor_lead_s
    due = PERIOD + interval - lead
    assert next_publication(PERIOD, parameters) == (PERIOD + interval, due)
    assert next_publication(due - 0.1, parameters) == (PERIOD + interval, due)
    assert next_publication(due, parameters) == (PERIOD + 2 * interval, due + interval)


@pytest.mark.parametrize(("parameters", "count"), [(MAIN, 13), (DEVNET, 7)], ids=["main", "devnet"])
def test_phase_keys_are_asked_for_in_order(parameters: NetworkParameters, count: int) -> None:
    signed = NodeKeys.make(1, Role.ENTRY).descriptor(parameters=parameters)
    first, expected = consensus_phases(
        PERIOD, parameters.consensus_interval_s, parameters.key_phase_s
    )
    assert (signed.descriptor.first_phase, len(signed.descriptor.phase_keys)) == (first, expected)
    assert expected == count


def test_bad_profiles_never_leave_the_node() -> None:
    with pytest.raises(DecodeError):
        NodeKeys.make(1, Role.ENTRY).descriptor(host="")
