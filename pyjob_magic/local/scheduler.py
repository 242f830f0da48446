"""The scheduler: does a job fit on this machine? A whole job or nothing, first come first served.

Pure. Memory and GPUs gate; CPU may be overcommitted, because three replicas on a laptop with two
cores are slow but useful.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pyjob_magic.local.objects import Json
from pyjob_magic.quantity import Quantity

GPU = "nvidia.com/gpu"
Amounts = Mapping[str, Decimal]

_UNGATED = ("cpu", "ephemeral-storage")
_LARGEST = Decimal(2**63 - 1)  # what Kubernetes cuts amounts to


@dataclass(frozen=True)
class Group:
    """The pods of one job that are still without a place.

    Parameters
    ----------
    key
        Whose pods they are.
    pods
        What each pod asks for, by its name.
    """

    key: str
    pods: Mapping[str, Amounts]


@dataclass
class Decision:
    """Which groups may start, and why the others may not.

    Parameters
    ----------
    admitted
        Keys of the groups that fit, all of their pods together.
    refused
        What is short, for each group that has to wait.
    """

    admitted: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def schedule(waiting: list[Group], used: Amounts, capacity: Amounts) -> Decision:
    """Decide which of the `waiting` groups, oldest first, may start beside what is `used`.

    The first group that has to wait for others to end keeps younger ones back, so that none
    starves; one that can never fit keeps nobody back.
    """
    decision, taken, blocked_by = Decision(), dict(used), ""
    for group in waiting:
        asked = total(group.pods.values())
        if short := _short(asked, {}, capacity):
            decision.refused[group.key] = f"this machine can never run it: {short}"
        elif blocked_by:
            decision.refused[group.key] = f"waits for {blocked_by}, which came first"
        elif short := _short(asked, taken, capacity):
            decision.refused[group.key] = f"waits for others to end: {short}"
            blocked_by = group.key
        else:
            decision.admitted.append(group.key)
            taken = total([taken, asked])
    return decision


def asks(pod: Json) -> dict[str, Decimal]:
    """Return what a pod asks for: the requests of its containers, else their limits.

    Raises
    ------
    ValueError, ArithmeticError
        If an amount is none; the operator creates no such pod, but a store may hold one.
    """
    amounts = []
    for container in pod["spec"].get("containers") or ():
        resources = container.get("resources") or {}
        merged = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        values = {name: Quantity(amount).value for name, amount in merged.items()}
        amounts.append({name: min(value, _LARGEST) for name, value in values.items()})
    return total(amounts)


def total(amounts: Iterable[Amounts]) -> dict[str, Decimal]:
    """Add up amounts by resource."""
    sums: dict[str, Decimal] = {}
    for entry in amounts:
        for name, amount in entry.items():
            sums[name] = sums.get(name, Decimal(0)) + amount
    return sums


def overcommitted(used: Amounts, capacity: Amounts) -> str:
    """Return a sentence if more CPUs are asked for than there are; else nothing."""
    asked, there = used.get("cpu", Decimal(0)), capacity.get("cpu", Decimal(0))
    if asked <= there:
        return ""
    return (
        f"all replicas ask for {_plain(asked)} CPUs and share the {_plain(there)} of this machine"
    )


def _short(asked: Amounts, taken: Amounts, capacity: Amounts) -> str:
    """Return what is missing; empty if all of it fits."""
    missing = []
    for name, amount in sorted(asked.items()):
        there = capacity.get(name, Decimal(0))
        free = max(Decimal(0), there - taken.get(name, Decimal(0)))
        if name in _UNGATED or amount <= free or not amount:
            continue
        of = f" of {_show(name, there)}" if free != there else ""
        missing.append(
            f"Insufficient {name}: the job asks for {_show(name, amount)}, "
            f"{_show(name, free)}{of} {'is' if name == 'memory' else 'are'} free"
        )
    return "; ".join(missing)


def _show(name: str, amount: Decimal) -> str:
    if name != "memory":
        return _plain(amount)
    for unit, factor in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if amount >= factor:
            return f"{_plain(round(amount / factor, 1))}{unit}"
    return _plain(amount)


def _plain(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
