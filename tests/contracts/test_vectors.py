"""The committed golden values are what the contracts say today."""

import importlib.util
import json

from world import ROOT


def test_vectors_are_up_to_date(module_isolation):
    path = ROOT / "scripts" / "contract_vectors.py"
    spec = importlib.util.spec_from_file_location("contract_vectors", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert json.loads(script.OUTPUT.read_text()) == script.build()
