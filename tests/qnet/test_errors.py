import importlib
import pkgutil

import governance
import ledger
import node
import qnet
import tools
from qnet.errors import QnetError

EXIT_CODES = {1, 2, 3, 4, 5, 6, 7, 8, 9, 70, 130}
NOT_OURS_TO_IMPORT = {"__main__", "migrations", "mix_peers"}
"""Entry points, and programs for environments of others."""


def all_errors():
    for package in (qnet, node, ledger, governance, tools):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not NOT_OURS_TO_IMPORT & set(module.name.split(".")):
                importlib.import_module(module.name)
    found, queue = [], [QnetError]
    while queue:
        kind = queue.pop()
        queue.extend(kind.__subclasses__())
        if kind.__module__.partition(".")[0] in {"qnet", "node", "ledger", "governance", "tools"}:
            found.append(kind)
    return found


def test_every_code_names_one_error_and_every_exit_code_is_documented():
    owners = {}
    for kind in all_errors():
        assert kind.exit_code in EXIT_CODES, kind
        if "code" in vars(kind):
            owners.setdefault(kind.code, set()).add(kind)
    clashes = {code: kinds for code, kinds in owners.items() if len(kinds) > 1}
    assert not clashes
