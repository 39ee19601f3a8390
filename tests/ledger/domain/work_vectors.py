"""Results in the vectors of W, computed anew from their inputs.

    python -m tests.ledger.domain.work_vectors

Reads `tests/vectors/rewards/work.json` and writes it again: inputs as they are, results by the
exact fractions of `reference.py`, which shares no code with the ledger.
"""

import json
from pathlib import Path
from typing import Any

from ledger.domain.state import NetworkState, NodeRecord
from qnet.messages.descriptor import Role
from tests.ledger.domain import reference
from tests.ledger.domain.material import DEVNET, view

FILE = Path(__file__).parents[2] / "vectors" / "rewards" / "work.json"


def solved(case: dict[str, Any]) -> dict[str, Any]:
    """A case with what follows from its inputs."""
    nodes = [view(i, Role[role], int(bond)) for i, (role, bond) in enumerate(case["nodes"], 1)]
    records = {
        int(index): NodeRecord(rho_ppm=rho, history_ppm=tuple(history), kbps=kbps)
        for index, (rho, history, kbps) in case["records"].items()
    }
    state = NetworkState(
        epoch=0, n_hat_cells=case["n_hat"], n_hat_packets=case["n_hat_mix"], records=records
    )
    matched = {(a, b): cells for a, b, cells in case["matched"]}
    credited, factor, n_hat, n_hat_mix = reference.work(nodes, matched, state, DEVNET)
    inputs = {key: case[key] for key in ("nodes", "records", "n_hat", "n_hat_mix", "matched")}
    return inputs | {
        "credited": [credited[node.index] for node in nodes],
        "w_ppm": [factor[node.index] for node in nodes],
        "next_n_hat": n_hat,
        "next_n_hat_mix": n_hat_mix,
    }


def main() -> None:
    """Write the file anew."""
    content = json.loads(FILE.read_text())
    content["cases"] = [solved(case) for case in content["cases"]]
    FILE.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
