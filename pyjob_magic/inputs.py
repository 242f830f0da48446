"""Files that options name, read where they are asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyjob_magic import overlays
from pyjob_magic.errors import OptionError
from pyjob_magic.options import JobOptions


def with_files(options: JobOptions) -> JobOptions:
    """Return the options with what is in the files that they name."""
    template, patches = options.pod_template, options.patch
    if isinstance(template, str):
        text = read_file("--pod-template", template)
        template = overlays.parse("--pod-template", text, template)
    read: list[str | Mapping[str, Any]] = [
        _patch(patch) if isinstance(patch, str) else patch for patch in patches or ()
    ]
    return dataclasses.replace(options, pod_template=template, patch=read or None)


def _patch(said: str) -> Mapping[str, Any]:
    """Return a patch that was typed, or one in a file: ``@FILE``, or the name of one."""
    file = said.removeprefix("@")
    if file == said and not _is_file(said):
        return overlays.parse("--patch", said)
    return overlays.parse("--patch", read_file("--patch", file), file)


def _is_file(text: str) -> bool:
    try:
        return Path(text).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):  # too long, or no path at all
        return False


def read_file(option: str, file: str) -> str:
    """Return the text of a file that an option names.

    Raises
    ------
    OptionError
        If it cannot be read.
    """
    try:
        return Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, RuntimeError, ValueError) as error:
        raise OptionError(option, f"cannot read {file!r}: {error}") from None
