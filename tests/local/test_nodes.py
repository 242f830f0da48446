"""The machine itself is a node."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import httpx

from pyjob_magic.local.control import nodes
from pyjob_magic.local.kubelet import machine
from pyjob_magic.local.resources import NODES
from pyjob_magic.local.store import Store

AMOUNTS = {"cpu": Decimal(4), "memory": Decimal(8 * 2**30), "nvidia.com/gpu": Decimal(0)}


def test_the_machine_is_the_only_node(http: httpx.Client) -> None:
    (node,) = http.get("/api/v1/nodes").json()["items"]
    assert node["metadata"]["name"] == machine.name()
    assert int(node["status"]["allocatable"]["cpu"]) >= 1
    assert int(node["status"]["allocatable"]["memory"]) > 2**30
    assert http.delete(f"/api/v1/nodes/{machine.name()}").status_code == 405


def test_a_machine_that_is_renamed_stays_one_node(tmp_path: Path) -> None:
    """And keeps its identity as long as its name stays."""
    store = Store(tmp_path / "state.db")
    nodes.register(store, "old", AMOUNTS, 0)
    nodes.register(store, "new", AMOUNTS, 1)
    first = store.get(NODES, "", "new")["metadata"]["uid"]
    nodes.register(store, "new", {**AMOUNTS, "cpu": Decimal(8)}, 2)

    (node,) = store.objects(NODES)
    store.close()

    assert node["metadata"]["uid"] == first
    assert node["status"]["capacity"] == {"cpu": "8", "memory": "8589934592"}
