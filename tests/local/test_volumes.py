"""Volumes are laid out below the root of their pod: what files hold, and who may read them."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from pyjob_magic.local.kubelet.volumes import MountError, lay_out
from pyjob_magic.local.objects import Json
from tests.local.test_references import having, secret

CONFIG: Json = {
    "kind": "ConfigMap",
    "data": {"a.txt": "plain", "b.txt": "other"},
    "binaryData": {"raw": "AAE="},
}
FIND = having(config=CONFIG, secret=secret(key=b"hidden", raw=b"\xff"))


def laid_out(
    directory: Path, *volumes: dict[str, Any], mounts: list[dict[str, Any]] | None = None
) -> Path:
    """Lay out volumes at /v, or where `mounts` says; return the root."""
    root = directory / "pod" / "root"
    root.mkdir(parents=True, exist_ok=True)
    named = [{"name": "v", **volume} for volume in volumes]
    where = mounts if mounts is not None else [{"mountPath": "/v"}]
    container = {"name": "c", "volumeMounts": [{"name": "v", **mount} for mount in where]}
    meta = {"name": "p", "namespace": "n", "labels": {"a": "1"}}
    pod = {"metadata": meta, "spec": {"containers": [container], "volumes": named}}
    lay_out(pod, root, FIND)
    return root


def own_field(path: str, name: str) -> dict[str, Any]:
    return {"items": [{"path": path, "fieldRef": {"fieldPath": name}}]}


def held(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        (
            {"configMap": {"name": "config"}},
            {"a.txt": b"plain", "b.txt": b"other", "raw": b"\0\1"},
        ),
        ({"secret": {"secretName": "secret"}}, {"key": b"hidden", "raw": b"\xff"}),
        (
            {"secret": {"secretName": "secret", "items": [{"key": "key", "path": "in/it"}]}},
            {"in/it": b"hidden"},
        ),
        ({"secret": {"secretName": "none", "optional": True}}, {}),
        (
            {"downwardAPI": own_field("l", "metadata.labels")},
            {"l": b'a="1"'},
        ),
        (
            {
                "projected": {
                    "sources": [
                        {"configMap": {"name": "config", "items": [{"key": "raw", "path": "r"}]}},
                        {"secret": {"name": "secret", "items": [{"key": "key", "path": "s"}]}},
                        {"downwardAPI": own_field("n", "metadata.name")},
                        {"serviceAccountToken": {"path": "token"}},
                    ]
                }
            },
            {"r": b"\0\1", "s": b"hidden", "n": b"p"},
        ),
    ],
)
def test_files_hold_what_they_are_made_of(
    tmp_path: Path, volume: dict[str, Any], expected: dict[str, bytes]
) -> None:
    """ConfigMaps, Secrets, fields of the pod, and several of them together."""
    assert held(laid_out(tmp_path, volume) / "v") == expected


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        ({"configMap": {"name": "config"}}, 0o644),
        ({"configMap": {"name": "config", "defaultMode": 0o755}}, 0o755),
        (
            {
                "configMap": {
                    "name": "config",
                    "defaultMode": 0o755,
                    "items": [{"key": "a.txt", "path": "f", "mode": 0o400}],
                }
            },
            0o400,
        ),
        (
            {"projected": {"defaultMode": 0o640, "sources": [{"configMap": {"name": "config"}}]}},
            0o640,
        ),
        ({"secret": {"secretName": "secret"}}, 0o600),
        ({"secret": {"secretName": "secret", "defaultMode": 0o440}}, 0o400),
        ({"projected": {"sources": [{"secret": {"name": "secret"}}]}}, 0o600),
    ],
)
def test_modes_are_kept(tmp_path: Path, volume: dict[str, Any], expected: int) -> None:
    """But what is secret is its owner's alone."""
    root = laid_out(tmp_path, volume)
    assert {mode(path) for path in (root / "v").iterdir()} == {expected}


def test_a_file_that_cannot_be_written_is_replaced(tmp_path: Path) -> None:
    """Its mode is for the program, not for those who lay it out again."""
    volume = {"secret": {"secretName": "secret", "defaultMode": 0o400}}
    laid_out(tmp_path, volume)

    root = laid_out(tmp_path, volume)

    assert held(root / "v") == {"key": b"hidden", "raw": b"\xff"}


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        (
            {"secret": {"secretName": "secret", "items": [{"key": "x", "path": "x"}]}},
            "references non-existent secret key: x",
        ),
        (
            {"configMap": {"name": "config", "items": [{"key": "x", "path": "x"}]}},
            "references non-existent config key: x",
        ),
        (
            {"configMap": {"name": "config", "items": [{"key": "raw", "path": "../x"}]}},
            "'../x' leaves the pod's root",
        ),
        (
            {"hostPath": {"path": "/etc/passwd", "type": "Directory"}},
            "/etc/passwd is not a directory",
        ),
    ],
)
def test_what_cannot_be_laid_out_says_why(tmp_path: Path, volume: dict[str, Any], why: str) -> None:
    """In the words of a kubelet, with the name of the volume."""
    with pytest.raises(MountError) as error:
        laid_out(tmp_path, volume)
    assert str(error.value).startswith('MountVolume.SetUp failed for volume "v" : ')
    assert why in str(error.value)


@pytest.mark.parametrize("sub_path", ["a.txt", "./a.txt"])
def test_one_file_of_a_volume_can_be_mounted(tmp_path: Path, sub_path: str) -> None:
    """Its path is that of the file."""
    mounts = [{"mountPath": "/etc/app.conf", "subPath": sub_path}]
    root = laid_out(tmp_path, {"configMap": {"name": "config"}}, mounts=mounts)
    assert (root / "etc/app.conf").read_bytes() == b"plain"


def test_a_directory_of_a_volume_can_be_mounted(tmp_path: Path) -> None:
    """Of one that is made, and of an empty one, which is shared."""
    items = [{"key": "a.txt", "path": "d/a"}, {"key": "b.txt", "path": "b"}]
    made = {"configMap": {"name": "config", "items": items}}
    root = laid_out(tmp_path / "1", made, mounts=[{"mountPath": "/v", "subPath": "d"}])
    assert held(root / "v") == {"a": b"plain"}

    mounts = [{"mountPath": "/whole"}, {"mountPath": "/part", "subPath": "d/e"}]
    root = laid_out(tmp_path / "2", {"emptyDir": {}}, mounts=mounts)
    (root / "part" / "file").touch()
    assert (root / "whole" / "d" / "e" / "file").exists()


def two_laid_out(directory: Path, first: dict[str, Any], at: str, config_at: str) -> Path:
    """Lay out a volume, and a ConfigMap for another container; return the root."""
    root = directory / "pod" / "root"
    root.mkdir(parents=True)
    containers = [
        {"name": "a", "volumeMounts": [{"name": "config", "mountPath": config_at}]},
        {"name": "b", "volumeMounts": [{"name": "first", "mountPath": at}]},
    ]
    volumes = [{"name": "first", **first}, {"name": "config", "configMap": {"name": "config"}}]
    pod = {"metadata": {}, "spec": {"containers": containers, "volumes": volumes}}
    lay_out(pod, root, FIND)
    return root


def test_a_volume_can_lie_within_another(tmp_path: Path) -> None:
    """Whatever the order of the mounts."""
    root = two_laid_out(tmp_path, {"emptyDir": {}}, at="/w", config_at="/w/cfg")
    assert (root / "w" / "cfg" / "a.txt").read_bytes() == b"plain"


def test_the_first_volume_at_a_path_stays(tmp_path: Path) -> None:
    """Containers have a root each, the processes of a pod share one."""
    root = two_laid_out(tmp_path, {"emptyDir": {}}, at="/w/", config_at="/w")
    assert (root / "w" / "a.txt").read_bytes() == b"plain"


def test_nothing_is_laid_out_on_the_machine(tmp_path: Path) -> None:
    """A volume within a directory of the host would be written there."""
    host = tmp_path / "host"
    host.mkdir()
    with pytest.raises(MountError, match="leads out of the pod's root"):
        two_laid_out(tmp_path, {"hostPath": {"path": str(host)}}, at="/h", config_at="/h/cfg")
    assert not list(host.iterdir())


@pytest.mark.parametrize(("kind", "made"), [("DirectoryOrCreate", "d"), ("FileOrCreate", "f")])
def test_a_place_of_the_machine_is_made_if_asked_for(tmp_path: Path, kind: str, made: str) -> None:
    """And is what the program finds."""
    root = laid_out(tmp_path, {"hostPath": {"path": str(tmp_path / made), "type": kind}})

    assert (root / "v").samefile(tmp_path / made)
    assert (tmp_path / made).is_dir() == (kind == "DirectoryOrCreate")
