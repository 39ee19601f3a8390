"""The constants in the specification's tables are those of the code."""

import re
from pathlib import Path
from types import ModuleType

import pytest

from node.accounting import actions, cosign, sampler
from node.client.network import bootstrap, fetching
from node.directory import atlas, cache, census, clock, descriptors, exchange, guard, path, trust
from node.directory import consensus as directory_consensus
from node.io import evidence as evidence_store
from qnet import eip712
from qnet.messages import (
    assembly,
    audit,
    consensus,
    descriptor,
    evidence,
    freshness,
    peer,
    receipt,
    report,
    succession,
)

SPEC = Path(__file__).parents[3] / "docs" / "spec"
MODULES: dict[str, tuple[ModuleType, ...]] = {
    "messages": (audit, peer, report),
    "directory": (
        *(descriptor, consensus, assembly, freshness, succession, evidence),
        *(exchange, cache, census, clock, trust, descriptors, directory_consensus),
        *(atlas, guard, path),
        *(bootstrap, fetching, evidence_store),
    ),
    "receipts": (receipt, actions, sampler, cosign),
}


def constants(page: str) -> dict[str, float]:
    """Constants of a page by name; a row may hold several, separated by `,` and `;`."""
    text = (SPEC / f"{page}.md").read_text()
    table = text.split("## Constants", 1)[1].split("\n## ", 1)[0]
    found: dict[str, float] = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = re.findall(r"`([A-Z_]+)`", cells[0])
        values = [float(value.replace(",", "")) for value in cells[1].split(";")] if names else []
        found.update(zip(names, values, strict=True))
    return found


@pytest.mark.parametrize("page", MODULES)
def test_tables_and_code_agree(page: str) -> None:
    stated = constants(page)
    assert stated
    for name, value in stated.items():
        held = [getattr(module, name) for module in MODULES[page] if hasattr(module, name)]
        assert held, f"{page}.md names {name}, the code does not"
        assert set(held) == {value}, name


@pytest.mark.parametrize("page", MODULES)
def test_requirements_are_numbered_once(page: str) -> None:
    numbers = re.findall(
        r"^- \*\*(QN-[A-Z]+-\d{3})\*\*", (SPEC / f"{page}.md").read_text(), re.MULTILINE
    )
    assert numbers
    assert sorted(set(numbers)) == numbers


def test_typed_data_in_the_specification_is_the_code_s() -> None:
    text = (SPEC / "messages.md").read_text()
    types = set(re.findall(r"^\| `(\w+\([^`]*\))` \|", text, re.MULTILINE))
    assert types == {
        consensus.CONSENSUS_TYPE,
        succession.CHANGE_TYPE,
        peer.PEER_TYPE,
        receipt.RECEIPT_TYPE,
        audit.AUDIT_COMMIT_TYPE,
        audit.AUDIT_RESULT_TYPE,
        audit.CAPACITY_RESULT_TYPE,
        report.REPORT_TYPE,
    }
    assert all(eip712.type_hash(type_string) for type_string in types)
