"""What a form comes to: what is wrong with it, what is still missing, what would be sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyjob_magic._draft import Build, Draft, look_at
from pyjob_magic.connection import Connection, open_connection
from pyjob_magic.errors import ManifestError, OptionError, PyJobError, SourceError, TargetError
from pyjob_magic.manifest import Manifest
from pyjob_magic.options import CellOptions
from pyjob_magic.profiles import NO_PROFILE

CODE = "print(1)\n"
VALUES = {"name": "mnist", "workers": "2", "cpu": "2", "memory": "4Gi"}


def on_this_machine(options: CellOptions, source: str) -> tuple[Connection, Manifest]:
    """Build a manifest for the embedded API, which need not run for that."""
    connection = open_connection(NO_PROFILE, "local", options.namespace or "team-a")
    return connection, connection.build(
        source, options, time="2026-01-01T00:00:00Z", suffix="abcde", identity="1"
    )


def refusing(error: PyJobError) -> Build:
    """Return what cannot build a manifest, for this reason."""

    def build(options: CellOptions, source: str) -> tuple[Connection, Manifest]:
        raise error

    return build


def told(draft: Draft, **left: str) -> dict[str, Any]:
    """Return what the front end is told, as it arrives there."""
    return dict(json.loads(json.dumps(draft.told(left), allow_nan=False)))


def test_what_is_complete_can_be_submitted() -> None:
    draft = look_at(VALUES, CODE, on_this_machine)

    assert draft.whole is not None
    options, connection, manifest = draft.whole
    assert (options.workers, connection.namespace) == (2, "team-a")
    assert manifest.job.name == "mnist"
    shown = told(draft)
    assert (shown["errors"], shown["source_error"], shown["missing"]) == ({}, None, [])
    assert shown["yaml"] == str(manifest)
    assert "team-a" in shown["place"]


def test_without_code_all_else_can_be_seen() -> None:
    """But nothing can be submitted."""
    draft = look_at(VALUES, "  \n", on_this_machine)

    assert draft.whole is None
    assert draft.missing == ("the code",)
    assert "name: mnist" in told(draft)["yaml"]


def test_each_field_has_its_own_error() -> None:
    draft = look_at(VALUES | {"cpu": "lots", "workers": "-1"}, CODE, on_this_machine)

    assert set(draft.errors) == {"cpu", "workers"}
    assert draft.whole is None
    assert told(draft)["yaml"] == ""


def test_what_is_wrong_with_the_code_names_the_line() -> None:
    draft = look_at(VALUES, "x = 1\nif x\n", on_this_machine)

    assert draft.source_error is not None
    assert draft.source_error.startswith("line 2 ")
    assert (draft.errors, draft.whole) == ({}, None)


@pytest.mark.parametrize(
    ("error", "errors", "problem"),
    [
        (OptionError("--queue", "there is none"), {"queue": "there is none"}, ""),
        (OptionError("in the settings", "no"), {}, "in the settings: no"),
        (TargetError("no kubeconfig"), {"on": "no kubeconfig"}, ""),
        (ManifestError("the patch leaves nothing"), {}, "the patch leaves nothing"),
    ],
)
def test_what_only_building_shows(error: PyJobError, errors: dict[str, str], problem: str) -> None:
    """It is beside its field if it has one, and said in any case."""
    draft = look_at(VALUES, CODE, refusing(error))

    assert draft.errors == errors
    assert draft.problem == problem
    assert bool(problem) == ("what the message above asks for" in draft.missing)
    assert draft.whole is None


def test_an_error_of_the_code_without_a_line() -> None:
    assert look_at(VALUES, CODE, refusing(SourceError("too long"))).source_error == "too long"


def test_what_the_profile_alone_would_not_give_is_marked() -> None:
    shown = told(look_at(VALUES, CODE, on_this_machine))

    lines = shown["yaml"].splitlines()
    marked = [lines[number - 1].strip() for number in shown["marked"]]
    assert "replicas: 2" in marked
    assert "memory: 4Gi" in marked
    assert "kind: PyTorchJob" not in marked
    assert "name: mnist" not in marked  # says which job it is, not what is asked for
    assert told(look_at({"name": "mnist"}, CODE, on_this_machine))["marked"] == []


def test_totals_stand_beside_what_is_left() -> None:
    totals = {
        row["resource"]: row
        for row in told(look_at(VALUES, CODE, on_this_machine), cpu="7")["totals"]
    }

    assert totals["cpu"] | {"total": None} == totals["cpu"] | {
        "total": None,
        "replicas": 3,
        "left": "7",
    }
    assert totals["cpu"]["total"] == "6"
    assert (totals["memory"]["total"], totals["memory"]["left"]) == ("12Gi", None)


def test_without_limits_it_is_said_what_is_left() -> None:
    """Of what people choose amounts of; where there is a limit, that stands beside it."""
    left = {"cpu": "7", "memory": "20Gi", "pods": "90", "nvidia.com/gpu": "2"}
    draft = look_at({"name": "mnist", "memory": "4Gi"}, CODE, on_this_machine)

    assert told(draft, **left)["free"] == [
        {"resource": "cpu", "left": "7"},
        {"resource": "nvidia.com/gpu", "left": "2"},
    ]
    assert told(draft)["free"] == []


def test_a_manifest_of_any_length_is_cut() -> None:
    values = VALUES | {"env": [f"TEXT_{n}={'x' * 1000}" for n in range(300)]}

    shown = told(look_at(values, CODE, on_this_machine))

    assert len(shown["yaml"]) == 200_000


def test_a_secret_is_not_in_the_preview_but_in_what_is_sent() -> None:
    """What a front end is told may be stored in a notebook, which others read."""
    draft = look_at(VALUES | {"env": ["HF_TOKEN=s3cret-value", "A=1"]}, CODE, on_this_machine)

    yaml = told(draft)["yaml"]
    assert "s3cret-value" not in yaml
    assert "'{HF_TOKEN}'" in yaml
    assert draft.manifest is not None
    assert "s3cret-value" in str(draft.manifest)


def test_the_place_of_a_secret_is_no_value_of_it() -> None:
    """As it stands in a form that is filled in with a job of before."""
    draft = look_at(VALUES | {"env": ["A={A}", "HF_TOKEN={HF_TOKEN}"]}, CODE, on_this_machine)

    assert draft.errors == {"env": "the value of HF_TOKEN was not kept; type it again"}
