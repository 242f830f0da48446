"""The files of volumes that are made of ConfigMaps, Secrets and fields of the pod.

Source: ``pkg/volume/projected``, ``configmap``, ``secret`` and ``downwardapi`` of Kubernetes.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyjob_magic.local.kubelet.references import Find, MissingError, amount, contents, field, files
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import CONFIG_MAPS, SECRETS, Resource

PROJECTED = ("configMap", "secret", "downwardAPI", "projected")
_MODE = 0o644
_OWNER = 0o700  # what is left of the mode of a file that holds a secret


@dataclass(frozen=True, repr=False)  # it may hold a secret
class File:
    """What a file of a volume holds, and who may do what with it."""

    content: bytes
    mode: int


def projection(volume: Json, pod: Json, find: Find) -> dict[str, File]:
    """Return the files of a volume by their paths.

    Raises
    ------
    MissingError
        If something that the volume is made of does not exist.
    """
    projected = volume.get("projected")
    found: dict[str, File] = {}
    for source in [volume] if projected is None else projected.get("sources") or ():
        found |= _source(source, (projected or {}).get("defaultMode"), pod, find)
    return found


def _source(source: Json, mode: int | None, pod: Json, find: Find) -> dict[str, File]:
    """Return the files of one source; those that this machine does not have give none."""
    if (ref := source.get("configMap")) is not None:
        return _files(CONFIG_MAPS, ref, contents(find, CONFIG_MAPS, ref), mode)
    if (ref := source.get("secret")) is not None:
        # As a volume it names a secretName, as one source of several a name.
        name = "secretName" if "secretName" in ref else "name"
        private = _files(SECRETS, ref, contents(find, SECRETS, ref, name), mode)
        return {path: File(file.content, file.mode & _OWNER) for path, file in private.items()}
    if (ref := source.get("downwardAPI")) is not None:
        return {
            item["path"]: File(_own(pod, item).encode(), _mode(item, ref, mode))
            for item in ref.get("items") or ()
        }
    return {}


def _files(resource: Resource, ref: Json, obj: Json, mode: int | None) -> dict[str, File]:
    """Return the files of a ConfigMap or a Secret: those that are asked for, else all."""
    data, items = files(obj), ref.get("items")
    if items is None:
        items = [{"key": key, "path": key} for key in data]
    missing = [item["key"] for item in items if item["key"] not in data]
    if missing and not ref.get("optional"):
        kind = "config" if resource == CONFIG_MAPS else "secret"
        raise MissingError(f"references non-existent {kind} key: {missing[0]}")
    return {
        item["path"]: File(data[item["key"]], _mode(item, ref, mode))
        for item in items
        if item["key"] in data
    }


def _own(pod: Json, item: Json) -> str:
    """Return what the downward API puts into a file."""
    if ref := item.get("fieldRef"):
        return field(pod, ref["fieldPath"]) or ""
    return amount(pod, item["resourceFieldRef"])


def _mode(item: Json, ref: Json, default: int | None) -> int:
    """Return the mode of a file: its own, else its volume's."""
    for mode in (item.get("mode"), ref.get("defaultMode"), default):
        if mode is not None:
            return int(mode) & 0o777
    return _MODE
