"""What auditors probe rests on the newest consensus, and on every seat of the committee."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from ledger.domain.audits import assignments_of
from ledger.errors import NoConsensusError
from ledger.service.audit_service import AuditService
from qnet.epochs import EpochClock
from qnet.messages.descriptor import Role
from qnet.messages.trust import NO_SIGNER
from tests.support.signed_network import PARAMETERS, PERIOD, ROLES, make_network

NET = make_network((*ROLES, Role.MIX, Role.MIX))
BEACON = b"\x07" * 32
COUNT = 3


def service_of(member: int, *stored: tuple[int, bytes]) -> AuditService:
    """An auditor in a committee whose seat 1 has signed the consensus and was suspended since."""

    @asynccontextmanager
    async def work() -> AsyncIterator[SimpleNamespace]:
        async def get() -> tuple[int, bytes] | None:
            return stored[0] if stored else None

        async def measured_targets(_epoch: int) -> set[int]:
            return set()

        audits = SimpleNamespace(measured_targets=measured_targets)
        yield SimpleNamespace(consensuses=SimpleNamespace(get=get), audits=audits)

    async def value(_slot: int, _now: float) -> bytes:
        return BEACON

    signers = NET.trust.signers
    trust = replace(NET.trust, signers=(signers[0], NO_SIGNER, *signers[2:]))
    clock = EpochClock(PERIOD, 600, 6)
    return AuditService(
        SimpleNamespace(
            index=member,
            trust=trust,
            facts=SimpleNamespace(auditors=signers),
            clock=clock,
            now=lambda: PERIOD + 1.0,
            parameters=replace(PARAMETERS, audits_per_slot=COUNT),
            work=work,
        ),
        None,
        SimpleNamespace(value=value),
    )


@pytest.mark.parametrize("member", [0, 2, 3])
async def test_a_suspended_seat_changes_nothing_for_the_other_auditors(member: int) -> None:
    """The report draws auditors from all seats: others would measure what does not count."""
    signed = NET.sign(NET.consensus, members=(0, 1, 2))
    work = await service_of(member, (PERIOD, signed.encode())).assignments()
    nodes = {node.index: int(node.role) for node in NET.consensus.nodes}
    assert Role.MIX in nodes.values()
    assert list(work.targets) == assignments_of(member, nodes, BEACON, NET.trust.signers, COUNT)


async def test_there_is_nothing_to_probe_without_a_consensus() -> None:
    with pytest.raises(NoConsensusError):
        await service_of(0).assignments()
