"""What the webhook denies and what it lets pass, sentence by sentence."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.local.apiserver import admission, intake
from pyjob_magic.local.resources import JOBS
from pyjob_magic.local.status import StatusError
from tests.local.api import a_job

DATA = Path(__file__).parents[1] / "data" / "webhook"


def take_in(job: dict[str, Any]) -> list[str]:
    return intake.new_object(JOBS, job, "default", "Warn")


@pytest.mark.parametrize("name", sorted(path.stem for path in DATA.glob("*.json")))
def test_verdict(name: str) -> None:
    recorded = json.loads((DATA / f"{name}.json").read_text())
    if recorded["message"] is None:
        take_in(recorded["body"])
        return
    with pytest.raises(StatusError) as refused:
        take_in(recorded["body"])
    assert refused.value.code == recorded["status"]
    assert refused.value.body["message"] == recorded["message"]


def test_a_new_job_that_waits_for_kueue_is_admitted_at_once() -> None:
    """Nobody here would resume it; a job without a queue stays as it is."""
    queued, suspended = a_job(suspend=True), a_job(suspend=True)
    queued["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "team-a"}

    take_in(queued)
    take_in(suspended)

    assert queued["spec"]["runPolicy"]["suspend"] is False
    assert suspended["spec"]["runPolicy"]["suspend"] is True


def causes(job: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(StatusError) as refused:
        take_in(job)
    assert refused.value.code == 422
    return [(c["reason"], c["field"]) for c in refused.value.body["details"]["causes"]]


def test_names_in_a_list_must_differ() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    assert causes(a_job(container={"env": env})) == [
        (
            "FieldValueDuplicate",
            "spec.pytorchReplicaSpecs.Master.template.spec.containers[0].env[1]",
        )
    ]


def test_numbers_must_fit() -> None:
    assert causes(a_job(backoffLimit=2**31))[0] == (
        "FieldValueTypeInvalid",
        "spec.runPolicy.backoffLimit",
    )


@pytest.mark.parametrize("labels", [{"a b": "c"}, {"a": "-"}, {"a": "x" * 64}, {"x/y/z": "1"}])
def test_labels_must_be_labels(labels: dict[str, str]) -> None:
    job = a_job()
    job["metadata"]["labels"] = labels
    assert ("FieldValueInvalid", "metadata.labels") in causes(job)


def test_nulls_count_as_absent() -> None:
    job = a_job()
    job["spec"]["runPolicy"] = {"suspend": None, "backoffLimit": None}
    job["metadata"]["creationTimestamp"] = None
    take_in(job)
    assert job["spec"]["runPolicy"] == {"suspend": False}


def test_defaults_only_enter_objects_that_are_there() -> None:
    job = a_job(container={"ports": [{"containerPort": 1}]})
    take_in(job)
    assert "runPolicy" not in job["spec"]
    template = job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]
    assert template["spec"]["containers"][0]["ports"] == [{"containerPort": 1, "protocol": "TCP"}]


def test_all_unknown_fields_are_found() -> None:
    job = a_job(container={"gpus": 1}, spec={"activeDeadlineSeconds": 5})
    job["extra"] = 1
    job["metadata"]["nonsense"] = 1
    assert take_in(job) == [
        f'unknown field "{path}"'
        for path in (
            "extra",
            "metadata.nonsense",
            "spec.activeDeadlineSeconds",
            "spec.pytorchReplicaSpecs.Master.template.spec.containers[0].gpus",
        )
    ]


def test_the_queue_cannot_be_changed() -> None:
    old = a_job(schedulingPolicy={"queue": "a"})
    new = a_job(schedulingPolicy={"queue": "b"})
    assert admission.changes(old, new)
    assert not admission.changes(old, a_job())


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda children: st.lists(children) | st.dictionaries(st.text(), children),
        max_leaves=8,
    ),
    st.sampled_from(
        ["metadata", "spec", "pytorchReplicaSpecs", "Master", "template", "containers", "runPolicy"]
    ),
)
def test_nothing_breaks_the_validation(value: Any, where: str) -> None:
    """Whatever stands in a field: it is accepted or refused, never a crash."""
    job = replaced(a_job(backoffLimit=1), where, value)
    if not isinstance(job["metadata"], dict):
        return  # refused before
    with contextlib.suppress(StatusError):
        take_in(copy.deepcopy(job))


def replaced(value: Any, name: str, new: Any) -> Any:
    if isinstance(value, dict):
        return {k: new if k == name else replaced(v, name, new) for k, v in value.items()}
    return value
