"""The kubelet when what it stands on fails."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing

import pytest

from pyjob_magic.local.home import Home
from pyjob_magic.local.kubelet import Kubelet
from pyjob_magic.local.recorder import Recorder
from pyjob_magic.local.resources import PODS
from pyjob_magic.local.store import Store
from pyjob_magic.local.trees import ended
from tests.state import VARIABLE, processes_with

POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {"name": "p", "namespace": "default", "uid": "pod-of-test-kubelet"},
    "spec": {
        "restartPolicy": "Never",
        "containers": [
            {"name": "short", "command": ["sh", "-c", "until [ -e go ]; do sleep 0.01; done"]},
            {"name": "long", "command": ["sleep", "600"]},
        ],
    },
    "status": {"phase": "Pending"},
}


async def reached(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def run_until_the_store_fails(home: Home, store: Store) -> list[str]:
    kubelet = Kubelet(store, home, Recorder(store))
    ended: list[str] = []
    kubelet.on_end = ended.append
    kubelet.start(store.create(PODS, POD))
    await reached(lambda: store.get(PODS, "default", "p")["status"]["phase"] == "Running")
    await reached(lambda: len(processes_with("PYJOB_CONTAINER", "long")) == 2)
    with closing(sqlite3.connect(home.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        (kubelet.place("pod-of-test-kubelet").work / "go").touch()
        await reached(lambda: bool(ended))
    return ended


def test_a_pod_that_nobody_watches_any_more_is_ended(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of one container cannot be written down, while another one runs."""
    monkeypatch.setenv(VARIABLE, str(own_home.path))
    with closing(Store(own_home.create().database, timeout=0)) as store:
        ended = asyncio.run(run_until_the_store_fails(own_home, store))
    assert ended == ["pod-of-test-kubelet"]
    assert not processes_with("PYJOB_POD_UID", "pod-of-test-kubelet")


def test_the_end_of_a_process_is_seen_without_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    with subprocess.Popen(["sleep", "600"]) as process:

        async def wait() -> None:
            waiting = asyncio.create_task(ended(process.pid))
            await asyncio.sleep(0)
            process.kill()
            process.wait()  # it is gone now, not even a zombie
            await asyncio.wait_for(waiting, 10)

        asyncio.run(wait())
