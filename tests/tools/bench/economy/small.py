"""Networks small enough for a test: twelve nodes, few circuits."""

from tools.bench.economy.agents import NO_ATTACK, Attack, scaled_parameters
from tools.bench.economy.world import Outcome, Setting, World

SMALL = scaled_parameters(500)
"""Five entries, five relays, two exits."""
SHARE = 0.4
"""Two entries, two relays, one exit."""
CIRCUITS = 200


def setting(attack: Attack = NO_ATTACK, epochs: int = 20, **changes: object) -> Setting:
    values = {"share": SHARE, "seed": 7, "circuits": CIRCUITS, **changes}
    return Setting(attack, epochs=epochs, **values)  # type: ignore[arg-type]


def world(attack: Attack = NO_ATTACK, epochs: int = 20, **changes: object) -> World:
    made = World(setting(attack, epochs, **changes), SMALL)
    for epoch in range(epochs):
        made.step(epoch)
    return made


def run(attack: Attack = NO_ATTACK, epochs: int = 20, **changes: object) -> Outcome:
    return world(attack, epochs, **changes).outcome
