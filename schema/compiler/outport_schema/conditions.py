# SPDX-License-Identifier: Apache-2.0
"""Conditions: whether one holds, whether some imply another."""

from __future__ import annotations

from itertools import product
from typing import Iterable, List, Set

from .model import Condition

# Beyond that many symbols implication is not decided but believed; no schema comes near.
_SYMBOL_LIMIT = 12


def holds(cond: Condition, defined: Set[str]) -> bool:
    if cond is None:
        return True
    if isinstance(cond, str):
        return cond in defined
    key, operand = next(iter(cond.items()))
    if key == "not":
        return not holds(operand, defined)
    return (all if key == "all" else any)(holds(item, defined) for item in operand)


def symbols(cond: Condition) -> Set[str]:
    if cond is None:
        return set()
    if isinstance(cond, str):
        return {cond}
    operand = next(iter(cond.values()))
    return set().union(*(symbols(item) for item in (operand if isinstance(operand, list) else [operand])))


def implies(given: Iterable[Condition], wanted: Condition) -> bool:
    """Whether `wanted` holds wherever all of `given` do."""
    if wanted is None:
        return True
    premises: List[Condition] = [cond for cond in given if cond is not None]
    names = sorted(set().union(symbols(wanted), *(symbols(cond) for cond in premises)))
    if len(names) > _SYMBOL_LIMIT:
        return True
    for choice in product((False, True), repeat=len(names)):
        defined = {name for name, chosen in zip(names, choice) if chosen}
        if all(holds(cond, defined) for cond in premises) and not holds(wanted, defined):
            return False
    return True
