"""What this machine has to give."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from decimal import Decimal
from itertools import takewhile

import psutil

from pyjob_magic.local.scheduler import GPU


def name() -> str:
    """Return the name of the one node there is."""
    return platform.node() or "localhost"


def cpus() -> set[int]:
    """Return the CPUs that this process may use: what runs below it gets no others."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def gpus() -> list[str]:
    """Return the GPUs that may be handed out, as ``CUDA_VISIBLE_DEVICES`` names them."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        names = (name.strip() for name in allowed.split(","))
        # CUDA sees none behind one that cannot be, such as -1. Each is handed out once.
        seen = takewhile(lambda name: name and not name.startswith("-"), names)
        return list(dict.fromkeys(seen))
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        result = subprocess.run(
            [program, "-L"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = [line for line in result.stdout.splitlines() if line.startswith("GPU ")]
    return [str(index) for index in range(len(lines))]


def capacity(gpu_count: int) -> dict[str, Decimal]:
    """Return what there is of each resource, by Kubernetes' names."""
    return {
        "cpu": Decimal(len(cpus())),
        "memory": Decimal(psutil.virtual_memory().total),
        GPU: Decimal(gpu_count),
    }
