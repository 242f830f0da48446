"""Which Python a replica finds when it says ``python``."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

_NAMES = ("python", "python3")


def interpreter(job_annotation: str | None) -> Path:
    """Return the interpreter of a job: the one that it names, else the API's own.

    Raises
    ------
    ValueError
        If the job names one that is not there.
    """
    if not job_annotation:
        return Path(sys.executable)
    path = Path(job_annotation)
    if not path.is_absolute() or not os.access(path, os.X_OK) or not path.is_file():
        raise ValueError(f"the interpreter {job_annotation!r} is no executable file")
    return path


def search_path(python: Path, wrappers: Path, inherited: str) -> str:
    """Return a ``PATH`` on which ``python`` and ``python3`` lead to `python`.

    Its own directory comes first, so that a virtual environment finds itself and its scripts
    (torchrun) are found. Where another ``python`` is at home there, wrappers go before it.
    """
    path = [str(python.parent), inherited or os.defpath]
    if not all(_leads_to(python.parent / name, python) for name in _NAMES):
        wrappers.mkdir(parents=True, exist_ok=True)
        for name in _NAMES:
            script = wrappers / name
            script.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} "$@"\n')
            script.chmod(0o700)
        path.insert(0, str(wrappers))
    return os.pathsep.join(path)


def virtual_env(python: Path) -> str | None:
    """Return the virtual environment that an interpreter belongs to, if any."""
    home = python.parent.parent
    return str(home) if (home / "pyvenv.cfg").is_file() else None


def _leads_to(candidate: Path, python: Path) -> bool:
    try:
        return candidate.samefile(python) and os.access(candidate, os.X_OK)
    except OSError:
        return False
