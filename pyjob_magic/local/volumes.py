"""What a container finds on disk: volumes laid out below the pod's own root."""

from __future__ import annotations

import base64
import os
import posixpath
from pathlib import Path

from pyjob_magic.local.objects import Json
from pyjob_magic.local.references import ConfigMaps


class MountError(Exception):
    """A volume that cannot be laid out yet, or ever."""


def lay_out(pod: Json, root: Path, config_map: ConfigMaps) -> None:
    """Lay out the volumes of a pod below `root`; what is not for this machine is left out.

    Raises
    ------
    MountError
        If a ConfigMap does not exist (it may yet come) or a path leaves the root.
    """
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    for container in containers(pod):
        for mount in container.get("volumeMounts") or ():
            volume = volumes.get(mount["name"])
            if volume is None:
                raise MountError(f'there is no volume "{mount["name"]}"')
            place = within(root, mount["mountPath"])
            if "configMap" in volume:
                _config_map(volume, mount, place, config_map)
            elif "emptyDir" in volume:
                _empty_dir(root, volume["name"], place)
            elif "hostPath" in volume and Path(volume["hostPath"]["path"]).exists():
                _link(place, Path(volume["hostPath"]["path"]))


def containers(pod: Json) -> list[Json]:
    """Return all containers of a pod, in the order in which they start."""
    spec = pod["spec"]
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def within(root: Path, path: str) -> Path:
    """Return `path` of a container as a path of this machine, below `root`.

    Raises
    ------
    MountError
        If it has no place there.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in path:
        raise MountError(f"{path!r} leaves the pod's root")
    place = root.joinpath(*parts)
    real_root, real_parent = os.path.realpath(root), os.path.realpath(place.parent)
    if os.path.commonpath([real_root, real_parent]) != real_root:
        raise MountError(f"{path!r} leads out of the pod's root")
    return place


def _config_map(volume: Json, mount: Json, place: Path, config_map: ConfigMaps) -> None:
    source = volume["configMap"]
    name = source.get("name", "")
    found = config_map(name)
    if found is None:
        if source.get("optional"):
            return
        raise MountError(f'configmap "{name}" not found')
    files = {key: text.encode() for key, text in (found.get("data") or {}).items()}
    for key, text in (found.get("binaryData") or {}).items():
        files[key] = base64.b64decode(text)
    items = source.get("items")
    if items is not None:
        missing = [item["key"] for item in items if item["key"] not in files]
        if missing and not source.get("optional"):
            raise MountError(f'configmap "{name}" has no key "{missing[0]}"')
        files = {item["path"]: files[item["key"]] for item in items if item["key"] in files}
    sub_path = mount.get("subPath")
    if place.is_symlink():
        raise MountError(f"{mount['mountPath']!r} is mounted twice")
    if sub_path is None:
        place.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            _write(within(place, path), content)
    elif posixpath.normpath(sub_path) in files:
        _write(place, files[posixpath.normpath(sub_path)])


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _empty_dir(root: Path, name: str, place: Path) -> None:
    """Make one directory for each volume, however often it is mounted."""
    shared = root.parent / "volumes" / name
    shared.mkdir(parents=True, exist_ok=True)
    _link(place, shared)


def _link(place: Path, target: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.is_symlink() and not place.exists():
        place.symlink_to(target)
