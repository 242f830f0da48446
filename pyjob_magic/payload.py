"""How the user's source reaches the replica byte for byte, and how it is had back.

Kubernetes rewrites ``$$`` and ``$(NAME)`` in `command`, `args` and `env`, and shells rewrite much
more. So the source never meets either: it travels as base64 in one element of the `command`, or,
when that would be too long for the kernel, as a file of a ConfigMap that the job owns. A few lines
of Python (`BOOTSTRAP`) check its sha256, write it to a real file and become that program.
"""

from __future__ import annotations

import ast
import hashlib
import io
import re
import tokenize
import warnings
from base64 import b64decode, b64encode
from dataclasses import dataclass

from pyjob_magic.errors import SourceError
from pyjob_magic.models import Container
from pyjob_magic.values import ARGUMENT_BYTES

CONFIG_MAP_BYTES = 1_048_576
"""Largest sum of the values of a ConfigMap. Source: Kubernetes ``ValidateConfigMap``."""

MOUNT_PATH = "/etc/pyjob"
FILE_NAME = "main.py"
_INLINE, _FILE = "base64:", "file:"
INLINE_BYTES = (ARGUMENT_BYTES - len(_INLINE)) // 4 * 3
"""Largest source that fits into the manifest."""

# Arguments: sha256, where the source is, what to start it with; then those of the program.
# PYJOB_ROOT is where the embedded API lays out the volumes of a replica; elsewhere it is not set.
# No dollar sign may occur here: Kubernetes would read it.
BOOTSTRAP = f"""\
import binascii, hashlib, os, sys
digest, where, starter = sys.argv[1:4]
kind, _, text = where.partition(":")
if kind == "file":
    with open(os.environ.get("PYJOB_ROOT", "") + text, "rb") as file:
        source = file.read()
else:
    source = binascii.a2b_base64(text)
found = hashlib.sha256(source).hexdigest()
if found != digest:
    sys.exit(f"pyjob_magic: the source arrived damaged: sha256 {{found}}, not {{digest}}")
for base in os.environ.get("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm", os.getcwd():
    path = os.path.join(base or "/tmp", "pyjob", "{FILE_NAME}")
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(source)
        break
    except OSError as error:
        reason = error
else:
    sys.exit(f"pyjob_magic: no directory to write the source to: {{reason}}")
module = ["-m", "torch.distributed.run"] if starter == "torchrun" else []
os.execv(sys.executable, [sys.executable, *module, path, *sys.argv[4:]])
"""
# Isolated and without site-packages: the bootstrap needs neither and starts faster.
_PYTHON = ["python3", "-IS", "-c", BOOTSTRAP]


@dataclass(frozen=True)
class Payload:
    """Source that has been found fit to travel.

    Parameters
    ----------
    source
        The code as UTF-8 bytes, exactly as typed.
    """

    source: bytes

    @property
    def sha256(self) -> str:
        """Hex digest that the replica compares before it starts."""
        return hashlib.sha256(self.source).hexdigest()

    @property
    def inline(self) -> bool:
        """Whether the source fits into the manifest; else it needs a ConfigMap."""
        return len(self.source) <= INLINE_BYTES

    def command(self, *, torchrun: bool) -> list[str]:
        """Return the container's `command`; the program's arguments go into `args`."""
        where = (
            _INLINE + b64encode(self.source).decode()
            if self.inline
            else f"{_FILE}{MOUNT_PATH}/{FILE_NAME}"
        )
        return [*_PYTHON, self.sha256, where, "torchrun" if torchrun else "python"]


def pack(source: str) -> Payload:
    """Check that `source` can travel and can run, and pack it.

    Raises
    ------
    SourceError
        If it is empty, is no plain Python, or is larger than any way of travelling allows.
    """
    try:
        data = source.encode()
    except UnicodeEncodeError as error:
        line = source.count("\n", 0, error.start) + 1
        raise SourceError("holds a lone surrogate, which UTF-8 cannot carry", line=line) from None
    if "\0" in source:
        line = source.count("\n", 0, source.index("\0")) + 1
        raise SourceError("holds a NUL character, which Python refuses", line=line)
    if len(data) > CONFIG_MAP_BYTES:
        raise SourceError(
            f"has {len(data):,} bytes, but at most {CONFIG_MAP_BYTES:,} can travel; "
            "keep data in files or volumes"
        )
    _check(source, data)
    return Payload(data)


def literal(text: str) -> str:
    """Return `text` so that Kubernetes hands it to the program as it is.

    In `command`, `args` and `env` it replaces ``$$`` by ``$`` and ``$(NAME)`` by a variable.
    """
    return text.replace("$", "$$")


def unpack(container: Container) -> tuple[str, bytes | None] | None:
    """Return sha256 and source of what `container` runs, if it was packed here.

    The source is None if it lies in the ConfigMap mounted at `MOUNT_PATH`.
    """
    command = container.command or []
    if len(command) != len(_PYTHON) + 3 or command[: len(_PYTHON)] != _PYTHON:
        return None
    digest, where, _ = command[len(_PYTHON) :]
    inline = b64decode(where.removeprefix(_INLINE)) if where.startswith(_INLINE) else None
    return digest, inline


def _check(source: str, data: bytes) -> None:
    """Refuse what Python would not run as it stands."""
    try:
        with warnings.catch_warnings(action="ignore"):
            # From bytes, as the replica's Python reads it: a coding declaration counts.
            tree = ast.parse(data, FILE_NAME)
            compile(tree, FILE_NAME, "exec", dont_inherit=True)  # a stray return, nonlocal, await
    except SyntaxError as error:
        raise _explained(error, source) from None
    except (MemoryError, RecursionError):
        raise SourceError("is nested too deeply for Python to parse") from None
    if not tree.body:
        raise SourceError("is empty: there is nothing to run")
    _refuse_other_encodings(source)


def _explained(error: SyntaxError, source: str) -> SourceError:
    lines = re.split(r"\r\n|\r|\n", source)
    line = min(max(error.lineno or 1, 1), len(lines))
    text = lines[line - 1].strip()
    if text.startswith(("!", "%", "?")) or text.endswith("?") or "= !" in text or "= %" in text:
        return SourceError(
            f"is IPython syntax, not Python: {text!r}; run it in a cell of its own or remove it",
            line=line,
        )
    return SourceError(f"is not Python ({error.msg}): {text!r}", line=line)


def _refuse_other_encodings(source: str) -> None:
    """Refuse a declared encoding but UTF-8: Python would misread what was typed."""
    encoding, lines = tokenize.detect_encoding(io.BytesIO(source.encode()).readline)
    if encoding not in ("utf-8", "utf-8-sig"):
        raise SourceError(
            f"declares the encoding {encoding}, but cells are UTF-8; remove the declaration",
            line=len(lines),
        )
