"""The kubeconfigs that are read, where nobody says it, as kubectl finds them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from pyjob_magic.errors import TargetError
from pyjob_magic.targets.kubernetes.kubeconfig import Kubeconfig

VARIABLE = "KUBECONFIG"


def paths(said: str | None) -> list[Path]:
    """Return the files of what was said, else of ``KUBECONFIG``, else ``~/.kube/config``."""
    names = said or os.environ.get(VARIABLE) or "~/.kube/config"
    return [Path(name).expanduser() for name in names.split(os.pathsep) if name]


def load(said: str | None) -> Kubeconfig:
    """Read the kubeconfigs and merge them; those that do not exist say nothing.

    Raises
    ------
    TargetError
        If one cannot be read, or is none.
    """
    return Kubeconfig.merge(_read(path) for path in paths(said))


def revision(files: Iterable[Path]) -> tuple[object, ...]:
    """Return what changes when one of the files does."""
    return tuple((path, _stamp(path)) for path in files)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path) -> Kubeconfig:
    try:
        return Kubeconfig.parse(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        return Kubeconfig()
    except UnicodeDecodeError:
        raise TargetError(f"kubeconfig {path}: the file is no text") from None
    except OSError as error:
        raise TargetError(f"kubeconfig {path}: {error.strerror or error}") from None
