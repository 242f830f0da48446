"""The kubelet when what it stands on fails."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from pyjob_magic.local.home import Home
from pyjob_magic.local.kubelet.kubelet import Kubelet
from pyjob_magic.local.kubelet.trees import ended
from pyjob_magic.local.recorder import Recorder
from pyjob_magic.local.resources import PODS
from pyjob_magic.local.store import Store
from tests.state import VARIABLE, eventually, processes_with

POD: dict[str, Any] = {
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


@pytest.fixture
def store(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv(VARIABLE, str(own_home.path))
    with closing(Store(own_home.create().database, timeout=0)) as store:
        yield store


def test_a_pod_that_cannot_be_reported_runs_on(own_home: Home, store: Store) -> None:
    """The end of one container cannot be stored: the other goes on, and is taken over later."""

    async def run() -> None:
        kubelet = Kubelet(store, own_home, Recorder(store))
        over: list[str] = []
        kubelet.on_end = over.append
        kubelet.start(store.create(PODS, POD))
        await reached(lambda: store.get(PODS, "default", "p")["status"]["phase"] == "Running")
        await reached(lambda: len(processes_with("PYJOB_CONTAINER", "long")) == 2)
        before = processes_with("PYJOB_CONTAINER", "long")
        with closing(sqlite3.connect(own_home.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            (kubelet.place("pod-of-test-kubelet").work / "go").touch()
            await reached(lambda: not kubelet.knows("pod-of-test-kubelet"))
        assert store.failing
        assert not over
        kubelet.start(store.get(PODS, "default", "p"))
        await reached(lambda: "terminated" in states(store)["short"])
        assert processes_with("PYJOB_CONTAINER", "long") == before
        assert "running" in states(store)["long"]
        await kubelet.stop_all()

    asyncio.run(run())


def states(store: Store) -> dict[str, Any]:
    entries = store.get(PODS, "default", "p")["status"]["containerStatuses"]
    return {entry["name"]: entry["state"] for entry in entries}


def test_a_pod_that_nobody_watches_any_more_is_ended(own_home: Home, store: Store) -> None:
    """Something went wrong with one container of it, and not for want of storage."""
    nameless = {"command": ["sleep", "600"]}
    containers = [POD["spec"]["containers"][1], nameless]

    async def run() -> list[str]:
        kubelet = Kubelet(store, own_home, Recorder(store))
        over: list[str] = []
        kubelet.on_end = over.append
        pod = {**POD, "spec": {**POD["spec"], "containers": containers}}
        kubelet.start(store.create(PODS, pod))
        await reached(lambda: bool(over))
        return over

    assert asyncio.run(run()) == ["pod-of-test-kubelet"]
    assert store.get(PODS, "default", "p")["status"]["reason"] == "KubeletError"
    eventually(lambda: not processes_with("PYJOB_POD_UID", "pod-of-test-kubelet"))


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
