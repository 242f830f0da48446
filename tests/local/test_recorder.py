"""Events are counted, combined and forgotten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from pyjob_magic.local.home import Home
from pyjob_magic.local.objects import timestamp
from pyjob_magic.local.recorder import Recorder
from pyjob_magic.local.resources import EVENTS
from pyjob_magic.local.store import Store
from tests.local.test_launcher import kill, running

JOB = {
    "kind": "PyTorchJob",
    "apiVersion": "kubeflow.org/v1",
    "metadata": {"name": "j", "namespace": "default", "uid": "uid-j", "resourceVersion": "1"},
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "state.db")) as store:
        yield store


def say(recorder: Recorder, message: str, reason: str = "Reason", once: bool = False) -> None:
    recorder.record(JOB, "tester", "Normal", reason, message, once)


def counts(store: Store) -> dict[str, int]:
    return {event["message"]: event["count"] for event in store.objects(EVENTS)}


def age(store: Store, hours: float) -> None:
    """Make all events older."""
    for event in list(store.objects(EVENTS)):
        event["lastTimestamp"] = timestamp(time.time() - hours * 3600)
        store.update(EVENTS, event)


def test_what_is_said_again_is_counted(store: Store) -> None:
    recorder = Recorder(store)
    for _ in range(3):
        say(recorder, "a")
    say(recorder, "a", reason="Other")
    found = [(event["reason"], event["count"]) for event in store.objects(EVENTS)]
    assert sorted(found) == [("Other", 1), ("Reason", 3)]


def test_what_is_to_be_said_once_is_not_counted(store: Store) -> None:
    recorder = Recorder(store)
    for _ in range(3):
        say(recorder, "a", once=True)
    assert counts(store) == {"a": 1}


def test_the_count_goes_on_after_a_restart(store: Store) -> None:
    say(Recorder(store), "a")
    say(Recorder(store), "a")
    say(Recorder(store), "a", once=True)
    assert counts(store) == {"a": 2}


@pytest.mark.parametrize("restarts", [False, True])
def test_many_similar_things_are_said_together(store: Store, restarts: bool) -> None:
    """However many differ in their message only, ten events are left of them."""
    recorder = Recorder(store)
    for number in range(1000):
        if restarts and number % 100 == 0:
            recorder = Recorder(store)
        say(recorder, f"Created pod: j-worker-{number}")
    assert len(counts(store)) == 10
    combined = "(combined from similar events): Created pod: j-worker-999"
    assert counts(store)[combined] == 991
    say(recorder, "Created pod: j-worker-3")
    assert counts(store)["Created pod: j-worker-3"] == 2


def test_similar_things_that_are_to_be_said_once_do_not_add_up(store: Store) -> None:
    recorder = Recorder(store)
    for number in [*range(20), *range(20)]:
        say(recorder, f"trouble {number}", once=True)
    assert set(counts(store).values()) == {1}
    assert len(counts(store)) == 10


def test_there_is_a_bound_to_all_events(store: Store) -> None:
    """Beyond ten thousand those go that were said least recently."""
    recorder = Recorder(store)
    with store.transaction():
        for number in range(10_000):
            say(recorder, "m", f"Reason{number}")
        for reason in ("Reason0", "First", "Second"):
            say(recorder, "m", reason)
    reasons = {event["reason"] for event in store.objects(EVENTS)}
    assert len(reasons) == 10_000
    assert {"Reason0", "First", "Second"} <= reasons
    assert not {"Reason1", "Reason2"} & reasons


def test_what_is_older_than_an_hour_is_forgotten(store: Store) -> None:
    """Also what is about objects that live; said again it begins anew."""
    recorder = Recorder(store)
    say(recorder, "a")
    recorder.forget(time.time() + 3500)
    assert counts(store) == {"a": 1}
    recorder.forget(time.time() + 3601)
    assert counts(store) == {}
    say(recorder, "a", once=True)
    assert counts(store) == {"a": 1}


def test_old_events_go_by_themselves(store: Store) -> None:
    """A recorder finds what it was left, and what is due."""
    say(Recorder(store), "old")
    age(store, hours=2)
    recorder = Recorder(store)
    say(recorder, "new")

    async def forget() -> None:
        forgotten = asyncio.Event()
        expiry = asyncio.create_task(recorder.expire(forgotten.set))
        await asyncio.wait_for(forgotten.wait(), 10)
        expiry.cancel()

    asyncio.run(forget())
    assert counts(store) == {"new": 1}


def test_what_a_failed_transaction_took_back_can_be_said_again(store: Store) -> None:
    recorder = Recorder(store)
    with suppress(RuntimeError), store.transaction():
        say(recorder, "a", once=True)
        raise RuntimeError
    assert counts(store) == {}
    say(recorder, "a", once=True)
    assert counts(store) == {"a": 1}


def test_an_event_has_the_fields_of_a_real_one(store: Store) -> None:
    say(Recorder(store), "a")
    (event,) = store.objects(EVENTS)
    about: dict[str, Any] = event["involvedObject"]
    assert (about["kind"], about["name"], about["uid"]) == ("PyTorchJob", "j", "uid-j")
    assert event["metadata"]["name"].startswith("j.")
    assert event["firstTimestamp"] == event["lastTimestamp"]
    assert (event["source"], event["reportingComponent"]) == ({"component": "tester"}, "tester")


def test_events_of_clients_do_not_keep_an_api_from_starting(own_home: Home) -> None:
    """They may be about anything, or nothing."""
    with running(own_home) as api:
        event = {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}}
        assert api.http.post(api.core("events"), json=event).status_code == 201
    kill(own_home)
    with running(own_home) as api:
        assert api.http.get(f"{api.core('events')}/e").status_code == 200
