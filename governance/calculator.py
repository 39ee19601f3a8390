"""`qnet stake calc`: what a node would earn, and how it would be shared.

Source: docs/spec/rewards.md, QN-REW-010, QN-REW-050 and QN-REW-052.
"""

from dataclasses import dataclass
from typing import Any

import click

from governance.session import Session, amount, chain_options, run
from governance.terms import in_force, in_words
from qnet.chain.hub import Terms
from qnet.cli.output import emit
from qnet.parameters import NetworkParameters
from qnet.units import PPM, parse_qnet

YEAR_S = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Estimate:
    """One epoch's reward and its parts, in wei; yields are ppm of what was put in, a year."""

    stake_wei: int
    reward_wei: int
    operator_wei: int
    pool_wei: int
    operator_yield_ppm: int
    pool_yield_ppm: int


def estimate(
    parameters: NetworkParameters,
    budget_wei: int,
    *,
    role: str,
    bond_wei: int,
    pool_wei: int,
    terms: Terms,
    performance_ppm: int = PPM,
    work_ppm: int = PPM,
) -> Estimate:
    """Compute an epoch's reward of a node that holds a paid slot.

    Args:
        parameters: in force.
        budget_wei: of the epoch.
        role: entry, relay, mix or exit.
        bond_wei: own bond.
        pool_wei: delegated to it.
        terms: how it shares, as in force.
        performance_ppm: P.
        work_ppm: W.
    """
    counted = min(pool_wei, parameters.delegation_factor * bond_wei)
    stake_wei = bond_wei + counted
    sigma = min(stake_wei * PPM // parameters.stake_reference_wei, PPM)
    own = min(bond_wei * PPM // parameters.stake_reference_wei, PPM)
    role_budget = budget_wei * getattr(parameters, f"weight_{role}_ppm") // PPM
    alpha, slots = parameters.alpha_ppm, getattr(parameters, f"slots_{role}")
    earned = role_budget * sigma * (PPM**2 + alpha * own) * performance_ppm**2 * work_ppm
    reward_wei = earned // (slots * PPM * (PPM**2 + alpha * PPM) * PPM**2 * PPM)
    cost = min(reward_wei, terms.cost_wei * performance_ppm // PPM * work_ppm // PPM)
    margin = (reward_wei - cost) * terms.margin_ppm // PPM
    rest = reward_wei - cost - margin
    for_bond = rest * bond_wei // stake_wei if stake_wei else 0
    operator_wei = cost + margin + for_bond
    epochs = YEAR_S / (parameters.slot_s * parameters.slots_per_epoch)
    return Estimate(
        stake_wei,
        reward_wei,
        operator_wei,
        reward_wei - operator_wei,
        _yield_ppm(operator_wei, bond_wei, epochs),
        _yield_ppm(reward_wei - operator_wei, pool_wei, epochs),
    )


def _yield_ppm(earned_wei: int, put_in_wei: int, epochs: float) -> int:
    return round(earned_wei / put_in_wei * epochs * PPM) if put_in_wei else 0


@click.command()
@click.argument("role", type=click.Choice(["entry", "relay", "mix", "exit"]))
@click.argument("own_bond", metavar="BOND")
@click.option("--pool", default="0", show_default=True, help="QNET delegated to the node.")
@click.option(
    "--cost", default="0", show_default=True, help="QNET an epoch for the operator first."
)
@click.option("--margin", default=0.0, type=click.FloatRange(0, 100), help="Per cent of the rest.")
@click.option(
    "--p", "performance", default=1.0, type=click.FloatRange(0, 1), help="P of the epoch."
)
@click.option(
    "--w", "work_factor", default=1.0, type=click.FloatRange(0, 1), help="W of the epoch."
)
@chain_options
def calc(
    session: Session,
    role: str,
    own_bond: str,
    pool: str,
    cost: str,
    margin: float,
    performance: float,
    work_factor: float,
) -> None:
    """Say what a node of ROLE with BOND of its own would earn in an epoch while it has a slot."""

    async def work() -> tuple[NetworkParameters, Estimate, Terms]:
        parameters = await session.contracts.parameters.all()
        shared = in_force(Terms(parse_qnet(cost), round(margin * PPM / 100)), parameters)
        found = estimate(
            parameters,
            parameters.emission_wei,
            role=role,
            bond_wei=parse_qnet(own_bond),
            pool_wei=parse_qnet(pool),
            terms=shared,
            performance_ppm=round(performance * PPM),
            work_ppm=round(work_factor * PPM),
        )
        return parameters, found, shared

    parameters, found, shared = run(session, work)
    data = _data(role, parameters, found)
    emit("qnet.stake.calc/1", data, text=_text(data, shared))


def _data(role: str, parameters: NetworkParameters, found: Estimate) -> dict[str, Any]:
    return {
        "role": role,
        "epoch_s": parameters.slot_s * parameters.slots_per_epoch,
        "stake": amount(found.stake_wei),
        "reward": amount(found.reward_wei),
        "operator": amount(found.operator_wei),
        "delegators": amount(found.pool_wei),
        "operator_year_percent": f"{found.operator_yield_ppm / PPM * 100:.2f}",
        "delegators_year_percent": f"{found.pool_yield_ppm / PPM * 100:.2f}",
    }


def _text(data: dict[str, Any], shared: Terms) -> str:
    """An estimate for people."""
    stake, reward, operator, pool = (
        data[name]["amount"] for name in ("stake", "reward", "operator", "delegators")
    )
    yields = (
        f"operator {data['operator_year_percent']} % of its bond,"
        f" delegators {data['delegators_year_percent']} % of the pool"
    )
    return "\n".join(
        (
            f"stake that counts  {stake} QNET",
            f"reward             {reward} QNET in {data['epoch_s']} s",
            f"operator           {operator} QNET, keeps {in_words(shared)}",
            f"delegators         {pool} QNET",
            f"a year             {yields}",
        )
    )
