"""Mappings of a kubeconfig, read with checks; messages say where, never what stands there."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyjob_magic.errors import TargetError


class Entry:
    """A mapping of a kubeconfig.

    Parameters
    ----------
    content
        What stands there.
    file
        The kubeconfig.
    place
        Where it stands, such as ``user 'alice'``; empty for the whole file.
    """

    def __init__(self, content: Any, file: Path, place: str = "") -> None:
        self._file = file
        self._place = place
        if not isinstance(content, dict):
            raise self.wrong(f"is a {type(content).__name__}, no mapping")
        self._content = content

    def wrong(self, reason: str) -> TargetError:
        """Return the error that says what is wrong here."""
        return TargetError(f"kubeconfig {self._file}: {self._place or 'the file'} {reason}")

    def text(self, key: str) -> str:
        """Return the text of `key`, empty if there is none."""
        value = self._content.get(key)
        if isinstance(value, (dict, list)):
            raise self.wrong(f"has no text as {key}")
        return "" if value is None else str(value)

    def needed(self, key: str) -> str:
        """Return the text of `key`, which has to be there."""
        if not (text := self.text(key)):
            raise self.wrong(f"has no {key}")
        return text

    def flag(self, key: str) -> bool:
        """Return whether `key` is true."""
        return self._content.get(key) is True

    def path(self, key: str) -> Path | None:
        """Return the file that `key` names, which may be relative to the kubeconfig."""
        text = self.text(key)
        return self._file.parent.absolute() / text if text else None

    def data(self, key: str) -> bytes:
        """Return the bytes that `key` holds as base64."""
        try:
            return base64.b64decode("".join(self.text(key).split()), validate=True)
        except (binascii.Error, ValueError):
            raise self.wrong(f"has no base64 as {key}") from None

    def raw(self, key: str) -> Any:
        """Return what stands at `key` as it is."""
        return self._content.get(key)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(str(item) for item in self._list(key))

    def entry(self, key: str, place: str = "") -> Entry | None:
        """Return the mapping at `key`, None if there is none."""
        value = self._content.get(key)
        return None if value is None else Entry(value, self._file, place or self._at(key))

    def entries(self, key: str) -> Iterator[Entry]:
        """Yield the mappings of a list."""
        for index, item in enumerate(self._list(key)):
            yield Entry(item, self._file, f"{self._at(key)}[{index}]")

    def named(self, key: str, kind: str) -> dict[str, Entry]:
        """Return a list of named mappings by name; the first of a name wins."""
        found: dict[str, Entry] = {}
        for item in self.entries(key):
            name = item.needed("name")
            place = f"{kind} {name!r}"
            found.setdefault(name, item.entry(kind, place) or Entry({}, self._file, place))
        return found

    def lists(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield every key with its list of texts."""
        for key in self._content:
            yield str(key), self.texts(key)

    def _list(self, key: str) -> list[Any]:
        value = self._content.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(f"has no list as {key}")
        return value

    def _at(self, key: str) -> str:
        return f"{key} of {self._place}" if self._place else key
