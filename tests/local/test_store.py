"""The store: what is written is told, whatever went wrong before; the history has its bounds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from pyjob_magic.local.resources import CONFIG_MAPS
from pyjob_magic.local.status import StatusError
from pyjob_magic.local.storage import StorageError
from pyjob_magic.local.store import Change, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "state.db", timeout=0)) as store:
        yield store


@pytest.fixture
def told(store: Store) -> list[Change]:
    changes: list[Change] = []
    store.subscribe(changes.append)
    return changes


def a_map(name: str, text: str = "") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}"}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"k": text}}


def test_a_write_that_could_not_begin_does_not_silence_later_ones(
    store: Store, told: list[Change], tmp_path: Path
) -> None:
    """Another process has locked the database for longer than we wait."""
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="is locked by another program: close it"):
            store.create(CONFIG_MAPS, a_map("first"))
    store.create(CONFIG_MAPS, a_map("second"))
    assert [change.object["metadata"]["name"] for change in told] == ["second"]


def test_a_transaction_that_fails_leaves_nothing(store: Store, told: list[Change]) -> None:
    before = store.version
    with suppress(StatusError), store.transaction():
        store.create(CONFIG_MAPS, a_map("first"))
        store.create(CONFIG_MAPS, a_map("first"))
    assert (store.version, told) == (before, [])
    store.create(CONFIG_MAPS, a_map("second"))
    assert [change.version for change in told] == [before + 1]


def test_a_database_that_rolled_back_by_itself_goes_on(
    store: Store, told: list[Change], tmp_path: Path
) -> None:
    """SQLite ends a transaction on its own, for example when the disk is full."""
    store._db.execute("PRAGMA max_page_count=1")  # no more than there are
    with pytest.raises(StorageError, match="is full: free some space"):
        store.create(CONFIG_MAPS, a_map("big", "x" * 1_000_000))
    store._db.execute("PRAGMA max_page_count=100000")
    store.create(CONFIG_MAPS, a_map("small"))
    assert [change.object["metadata"]["name"] for change in told] == ["small"]


def test_the_history_is_bounded_in_bytes(store: Store) -> None:
    """Large objects that change often do not fill the disk."""
    version = store.create(CONFIG_MAPS, a_map("big"))["metadata"]["resourceVersion"]
    for _ in range(80):
        store.update(CONFIG_MAPS, a_map("big", "x" * 1_000_000))
    with pytest.raises(StatusError, match="too old resource version"):
        store.check(int(version))
    kept = store.changes(CONFIG_MAPS, "", store.version - 10)
    assert len(kept) == 10
    (size,) = store._db.execute("SELECT sum(length(json)) FROM history").fetchone()
    assert 30 * 2**20 < size < 37 * 2**20


def test_the_history_stays_bounded_over_restarts(store: Store, tmp_path: Path) -> None:
    """A store that is opened does not measure what it finds; it does when that grows."""
    store.create(CONFIG_MAPS, a_map("big"))
    for _ in range(20):
        store.update(CONFIG_MAPS, a_map("big", "x" * 1_000_000))
    for _ in range(3):
        with closing(Store(tmp_path / "state.db")) as later:
            for _ in range(10):
                later.update(CONFIG_MAPS, a_map("big", "x" * 1_000_000))
            assert len(later.changes(CONFIG_MAPS, "", later.version - 10)) == 10
    ((size,),) = store._rows("SELECT sum(length(json)) FROM history")
    assert 30 * 2**20 < size < 37 * 2**20
