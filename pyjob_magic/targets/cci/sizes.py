"""Sizes that CCI has for pods, and the nearest one to what somebody asks for.

Source: CCI's "Notes and Constraints" and "Pod": CPU:memory from 1:2 to 1:8; GPUs only in sets with
CPU and memory. A GB is a Gi in all examples.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import NamedTuple

from pyjob_magic.errors import OptionError

GI = Decimal(2**30)
STEP = Decimal("0.25")
MOST_MEMORY = 512  # Gi
SMALLEST_CONTAINER = Decimal("0.2") * GI
CPUS = "0.25 to 32, 48 or 64"
_STEPPED, _LARGE = Decimal(32), (Decimal(48), Decimal(64))


class GpuSize(NamedTuple):
    """CPU and memory, in Gi, that come with a number of GPUs."""

    cpu: int
    memory: int


def _sizes(cpu: int, memory: int) -> dict[int, GpuSize]:
    return {count: GpuSize(count * cpu, count * memory) for count in (1, 2, 4, 8)}


V100 = _sizes(4, 32)
CARDS = {
    "nvidia.com/gpu-tesla-v100-16GB": V100,
    "nvidia.com/gpu-tesla-v100-32GB": V100,
}
"""Sizes by number of GPUs, for each card whose resource name is documented."""

T4 = _sizes(8, 32)
_T4 = re.compile(r"nvidia\.com/gpu-.*t4.*", re.IGNORECASE)


def gpu_sizes(resource: str) -> dict[int, GpuSize]:
    """Return the sizes of a card, by its resource name.

    Raises
    ------
    OptionError
        If CCI has no such card.
    """
    if resource in CARDS:
        return CARDS[resource]
    if _T4.fullmatch(resource):  # its name is not documented; who knows it may use it
        return T4
    raise OptionError(
        "--gpu-resource",
        f"{resource} is no card of cci; use {' or '.join(CARDS)} "
        "(the name of T4 cards is not documented; Huawei's support knows it)",
    )


def check_gpu_size(resource: str, gpus: Decimal, cpu: Decimal, memory: Decimal) -> None:
    """Refuse GPUs with any other CPU and memory (in bytes) than theirs."""
    sizes = gpu_sizes(resource)
    if gpus not in sizes:
        near = next((count for count in sizes if count >= gpus), max(sizes))
        raise OptionError("--gpus", f"a pod on cci has 1, 2, 4 or 8 GPUs; use {near}")
    size = sizes[int(gpus)]
    if cpu != size.cpu or memory != size.memory * GI:
        option = "--cpu" if cpu != size.cpu else "--memory"
        raise OptionError(
            option,
            f"cci sells {int(gpus)} x {resource} with {size.cpu} CPUs and {size.memory}Gi only; "
            f"use --cpu {size.cpu} --memory {size.memory}Gi",
        )


def check_container(cpu: Decimal, memory: Decimal) -> None:
    """Refuse a container whose CPU is between two steps, or that is too small."""
    if cpu % STEP or cpu <= 0:
        raise OptionError("--cpu", f"{number(cpu)} is no step of 0.25; use {number(_stepped(cpu))}")
    if memory < SMALLEST_CONTAINER:
        raise OptionError("--memory", "a container on cci has 0.2Gi at least; use 1Gi")


def check_pod(cpu: Decimal, memory: Decimal) -> None:
    """Refuse CPU and memory (in bytes) that no pod on CCI has, naming the nearest that one has."""
    if cpu > _STEPPED and cpu not in _LARGE:
        large = next((size for size in _LARGE if size >= cpu), _LARGE[-1])
        raise OptionError("--cpu", f"{number(cpu)} is no size of cci ({CPUS}); use {number(large)}")
    least, most = math.ceil(2 * cpu), min(MOST_MEMORY, int(8 * cpu))
    asked, near = f"{number(memory / GI)}Gi", min(max(math.ceil(memory / GI), least), most)
    if memory > MOST_MEMORY * GI:
        raise OptionError("--memory", f"{asked} is more than a pod on cci has; use {near}Gi")
    if memory > 8 * cpu * GI:
        raise OptionError(
            "--memory",
            f"{asked} with {number(cpu)} CPUs is above 1:8; use {near}Gi, "
            f"or --cpu {number(_cpu_for(memory))}",
        )
    if memory < 2 * cpu * GI:
        raise OptionError("--memory", f"{asked} with {number(cpu)} CPUs is below 1:2; use {near}Gi")
    if memory % GI:
        raise OptionError("--memory", f"{asked} is no whole number of Gi; use {near}Gi")


def _stepped(cpu: Decimal) -> Decimal:
    return max(STEP, math.ceil(cpu / STEP) * STEP)


def _cpu_for(memory: Decimal) -> Decimal:
    """Return the fewest CPUs that may have this memory."""
    cpu = _stepped(math.ceil(memory / GI) / Decimal(8))
    return cpu if cpu <= _STEPPED else next((c for c in _LARGE if c >= cpu), _LARGE[-1])


def number(value: Decimal) -> str:
    """Return a number without needless zeroes: ``3.25``, ``48``."""
    text = f"{value:.3f}"
    return text.rstrip("0").rstrip(".")
