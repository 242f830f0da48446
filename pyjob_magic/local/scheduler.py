"""The scheduler: does a job fit on this machine? A whole job or nothing, first come first served.

Pure. Memory and GPUs gate; CPU may be overcommitted, because three replicas on a laptop with two
cores are slow but useful. A resource that this machine does not have never fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice

from pyjob_magic.local.objects import GPUS, Json, notes
from pyjob_magic.quantity import Quantity

GPU = "nvidia.com/gpu"
Amounts = Mapping[str, Decimal]

_UNGATED = ("cpu", "ephemeral-storage")
_NONE = Decimal(0)
_LARGEST = Decimal(2**63 - 1)  # what Kubernetes cuts amounts to


@dataclass(frozen=True)
class Group:
    """Pods of one job that are still without a place.

    Parameters
    ----------
    key
        Whose pods they are.
    pods
        What each pod asks for, by its name, in the order in which they are to start.
    least
        How many of them must start together; None for all.
    held
        What the other pods of the job hold.
    """

    key: str
    pods: Mapping[str, Amounts]
    least: int | None = None
    held: Amounts = field(default_factory=dict)

    def first(self, count: int | None) -> dict[str, Decimal]:
        """Return what the first `count` pods ask for, or all of them."""
        return total(islice(self.pods.values(), count))


@dataclass(frozen=True)
class Verdict:
    """What becomes of a group.

    Parameters
    ----------
    admitted
        Names of the pods that may start.
    why
        Why the others may not; empty if there are none.
    never
        Whether they never will.
    """

    admitted: list[str]
    why: str = ""
    never: bool = False


def schedule(waiting: Sequence[Group], used: Amounts, capacity: Amounts) -> list[Verdict]:
    """Decide which pods of the `waiting` groups, oldest first, may start beside what is `used`.

    A group that has to wait for others to end keeps younger ones back, so that none starves, but
    for those that ask for nothing that could run out; one that can never fit keeps nobody back.
    """
    verdicts, taken, ahead = [], dict(used), ""
    for group in waiting:
        verdict = _judge(group, taken, capacity, ahead)
        verdicts.append(verdict)
        taken = total([taken, group.first(len(verdict.admitted))])
        if verdict.why and not verdict.never:
            ahead = group.key
    return verdicts


def _judge(group: Group, taken: Amounts, capacity: Amounts, ahead: str) -> Verdict:
    least = min(group.least or len(group.pods), len(group.pods))
    if short := _never(group, least, capacity):
        return Verdict([], short, never=True)
    if ahead and _takes_room(group):
        return Verdict([], f"waits for {ahead}, which came first")
    count = len(group.pods)
    while count >= least and _missing(group.first(count), taken, capacity):
        count -= 1
    admitted = list(islice(group.pods, count)) if count >= least else []
    if count == len(group.pods):
        return Verdict(admitted)
    wanted = max(least, count + 1)
    if short := _never(group, wanted, capacity):
        return Verdict(admitted, short, never=True)
    return Verdict(admitted, f"waits for others to end: {_short(group, wanted, taken, capacity)}")


def _takes_room(group: Group) -> bool:
    """Whether a group asks for anything that others could wait for."""
    asked = total(group.pods.values())
    return any(amount and name not in _UNGATED for name, amount in asked.items())


def asks(pod: Json) -> dict[str, Decimal]:
    """Return what a pod asks for.

    Its containers run beside each other and beside the sidecars (init containers that are always
    restarted); its other init containers run one after the other, before.

    Raises
    ------
    ValueError, ArithmeticError
        If an amount is none; the operator creates no such pod, but a store may hold one.

    Source: ``PodRequests`` in ``k8s.io/component-helpers/resource/helpers.go``.
    """
    spec, sidecars, before = pod["spec"], dict[str, Decimal](), dict[str, Decimal]()
    for container in spec.get("initContainers") or ():
        asked = _requests(container)
        if _is_sidecar(container):
            sidecars = asked = total([sidecars, asked])
        else:
            asked = total([sidecars, asked])
        before = _most(before, asked)
    beside = total([sidecars, *(_requests(container) for container in spec["containers"])])
    return total([_most(before, beside), _amounts(spec.get("overhead"))])


def visible_gpus(pod: Json, container: Json, chosen: str | None = None) -> str | None:
    """Return which of its pod's GPUs a container sees; None if this machine hands out none.

    What runs at the same time has its own: no two containers share a GPU.

    Parameters
    ----------
    pod, container
        The pod, after it was given a place, and one of its containers.
    chosen
        Which of its own it wants to see, counted from 0.
    """
    if GPUS not in notes(pod):
        return None
    gpus, spec = [gpu for gpu in notes(pod)[GPUS].split(",") if gpu], pod["spec"]
    init = spec.get("initContainers") or []
    beside = [*filter(_is_sidecar, init), *spec["containers"]]
    if container not in beside:  # it runs before the others, beside the sidecars only
        beside = [*filter(_is_sidecar, init), container]
    before = sum(_gpu_count(other) for other in beside[: beside.index(container)])
    own = gpus[before : before + _gpu_count(container)]
    if chosen is not None:
        known = {str(index): gpu for index, gpu in enumerate(own)} | {gpu: gpu for gpu in own}
        own = [known[name.strip()] for name in chosen.split(",") if name.strip() in known]
    return ",".join(own)


def total(amounts: Iterable[Amounts]) -> dict[str, Decimal]:
    """Add up amounts by resource."""
    sums: dict[str, Decimal] = {}
    for entry in amounts:
        for name, amount in entry.items():
            sums[name] = sums.get(name, _NONE) + amount
    return sums


def overcommitted(used: Amounts, capacity: Amounts) -> str:
    """Return a sentence if more CPUs are asked for than there are; else nothing."""
    asked, there = used.get("cpu", _NONE), capacity.get("cpu", _NONE)
    if asked <= there:
        return ""
    return (
        f"all replicas ask for {_plain(asked)} CPUs and share the {_plain(there)} of this machine"
    )


def _is_sidecar(container: Json) -> bool:
    return container.get("restartPolicy") == "Always"


def _gpu_count(container: Json) -> int:
    return int(_requests(container).get(GPU, 0))


def _requests(container: Json) -> dict[str, Decimal]:
    """Return the requests of a container; where it has none, its limits."""
    resources = container.get("resources") or {}
    return _amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _amounts(given: Json | None) -> dict[str, Decimal]:
    values = {name: Quantity(amount).value for name, amount in (given or {}).items()}
    return {name: min(value, _LARGEST) for name, value in values.items()}


def _most(one: Amounts, other: Amounts) -> dict[str, Decimal]:
    """Return the larger amount of each resource."""
    return {name: max(one.get(name, _NONE), other.get(name, _NONE)) for name in {**one, **other}}


def _missing(asked: Amounts, taken: Amounts, capacity: Amounts) -> list[str]:
    """Return the resources of which there is not enough."""
    return [
        name
        for name, amount in sorted(asked.items())
        if name not in _UNGATED and amount > _free(name, taken, capacity)
    ]


def _free(name: str, taken: Amounts, capacity: Amounts) -> Decimal:
    there = capacity.get(name, _NONE)
    return max(_NONE, there - taken.get(name, _NONE))


def _never(group: Group, count: int, capacity: Amounts) -> str:
    """Return why the first `count` pods can never run here; empty if they can."""
    asked = total([group.held, group.first(count)])
    missing = [
        f"Insufficient {name}: the job asks for {_show(name, asked[name])}, this machine has "
        f"{_show(name, capacity.get(name, _NONE))}"
        for name in _missing(asked, {}, capacity)
    ]
    return f"this machine can never run it: {'; '.join(missing)}" if missing else ""


def _short(group: Group, count: int, taken: Amounts, capacity: Amounts) -> str:
    """Return what is missing for the first `count` pods, and how much of it is free."""
    asked, more = group.first(count), " more" if group.held else ""
    missing = []
    for name in _missing(asked, taken, capacity):
        free, there = _free(name, taken, capacity), capacity.get(name, _NONE)
        left = f"{_show(name, free)} of {_show(name, there)}"
        missing.append(
            f"Insufficient {name}: the job asks for {_show(name, asked[name])}{more}, {left} "
            f"{'is' if name == 'memory' else 'are'} free"
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
