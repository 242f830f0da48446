"""What a container finds on disk: volumes laid out below the pod's own root."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path

from pyjob_magic.local.kubelet.projections import PROJECTED, File, projection
from pyjob_magic.local.kubelet.references import Find, MissingError
from pyjob_magic.local.objects import Json, containers

_MADE = {"DirectoryOrCreate": os.makedirs, "FileOrCreate": Path.touch}
_CHECKS = {
    "Directory": (Path.is_dir, "directory"),
    "DirectoryOrCreate": (Path.is_dir, "directory"),
    "File": (Path.is_file, "file"),
    "FileOrCreate": (Path.is_file, "file"),
    "Socket": (Path.is_socket, "socket"),
    "CharDevice": (Path.is_char_device, "character device"),
    "BlockDevice": (Path.is_block_device, "block device"),
}


class MountError(Exception):
    """A volume that cannot be laid out yet, or ever."""


def lay_out(pod: Json, root: Path, find: Find) -> None:
    """Lay out the volumes of a pod below `root`; what is not for this machine is left out.

    Raises
    ------
    MountError
        If what a volume is made of does not exist (it may yet come), or it has no place.
    """
    there: dict[str, str] = {}
    for volume, mount in mounts(pod):
        if there.setdefault(posixpath.normpath(mount["mountPath"]), mount["name"]) != mount["name"]:
            continue  # another container has another volume there: a caveat says so
        try:
            _mount(volume, mount, pod, root, find)
        except (MissingError, MountError, OSError, ValueError) as error:
            where = f'for volume "{mount["name"]}"'
            raise MountError(f"MountVolume.SetUp failed {where} : {error}") from None


def mounts(pod: Json) -> Iterator[tuple[Json, Json]]:
    """Yield each volume with each of its mounts, what lies within another one after it."""
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    found = [mount for each in containers(pod) for mount in each.get("volumeMounts") or ()]
    for mount in sorted(found, key=lambda mount: posixpath.normpath(mount["mountPath"])):
        yield volumes.get(mount["name"], {}), mount


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
    # What a pod has for itself alone, its volumes among it, is beside its root.
    own, real_parent = os.path.realpath(root.parent), os.path.realpath(place.parent)
    if os.path.commonpath([own, real_parent]) != own:
        raise MountError(f"{path!r} leads out of the pod's root")
    return place


def _mount(volume: Json, mount: Json, pod: Json, root: Path, find: Find) -> None:
    if not volume:
        raise MountError(f'there is no volume "{mount["name"]}"')
    place, sub_path = within(root, mount["mountPath"]), mount.get("subPath") or ""
    if any(kind in volume for kind in PROJECTED):
        _write_all(place, sub_path, projection(volume, pod, find))
    elif "emptyDir" in volume:
        # One directory for each volume, however often it is mounted.
        shared = root.parent / "volumes" / volume["name"]
        shared.mkdir(parents=True, exist_ok=True)
        _link(place, _part(shared, sub_path))
    elif "hostPath" in volume and _found(volume["hostPath"]):
        _link(place, _part(Path(volume["hostPath"]["path"]), sub_path))


def _write_all(place: Path, sub_path: str, files: dict[str, File]) -> None:
    """Write the files of a volume, or the one of them that is asked for."""
    if sub_path:
        part = posixpath.normpath(sub_path)
        if part in files:
            _write(place, files[part])
            return
        # A part of the volume that is a directory of its own.
        inside = {name: file for name, file in files.items() if name.startswith(f"{part}/")}
        files = {name.removeprefix(f"{part}/"): file for name, file in inside.items()}
    place.mkdir(parents=True, exist_ok=True)
    for name, file in files.items():
        _write(within(place, name), file)


def _write(path: Path, file: File) -> None:
    """Write a file; who could read it before its mode is set is nobody but its owner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as target:
        target.write(file.content)
    new.chmod(file.mode)
    new.replace(path)


def _found(host: Json) -> bool:
    """Whether what a hostPath asks for is there; make it if that is asked for, too."""
    path, kind = Path(host["path"]), host.get("type") or ""
    if kind in _MADE and not path.exists():
        _MADE[kind](path)
    check, what = _CHECKS.get(kind, (Path.exists, ""))
    if what and not check(path):
        raise MountError(f"hostPath type check failed: {path} is not a {what}")
    return path.exists()


def _part(volume: Path, sub_path: str) -> Path:
    """Return the part of a volume that is mounted; make it a directory if it is not there."""
    if not sub_path:
        return volume
    part = within(volume, sub_path)
    if not part.exists():
        part.mkdir(parents=True)
    return part


def _link(place: Path, target: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.is_symlink() and not place.exists():
        place.symlink_to(target)
