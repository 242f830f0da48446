"""What people type is read, or refused with a line that says what to type instead."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest

from pyjob_magic import values
from pyjob_magic.errors import OptionError
from pyjob_magic.options import CellOptions, JobOptions, flag, options
from pyjob_magic.quantity import Quantity, people


@pytest.mark.parametrize(
    ("said_values", "message"),
    [
        ({"name": "Mnist"}, "NAME: 'Mnist' is not a job name: use lower-case"),
        ({"name": "9lives"}, "NAME: '9lives' is not a job name"),
        ({"name": "a" * 55}, "NAME: '" + "a" * 55 + "' has 55 characters; at most 54"),
        ({"name": "a" * 54, "workers": "11"}, "1 characters too long for 11 workers"),
        ({"workers": "-1"}, "--workers: -1 is out of range"),
        ({"workers": "two"}, "--workers: 'two' is not a whole number"),
        ({"cpu": "lots"}, "--cpu: 'lots' is not an amount: write 2 or 500m"),
        ({"cpu": "0"}, "--cpu: '0' is not a number of CPUs"),
        ({"memory": "4GB"}, "--memory: '4GB' is not an amount: write 4Gi"),
        ({"memory": "4"}, "--memory: '4' is less than a megabyte: write 4Gi"),
        ({"env": ["RANK=1"]}, "--env: RANK is set by the training operator"),
        ({"env": ["PET_NNODES=1"]}, "--env: PET_NNODES is set by"),
        ({"env": ["NOVALUE"]}, "--env: 'NOVALUE' is not of the form NAME=VALUE"),
        ({"env": ["1A=2"]}, "--env: '1A' is not the name"),
        ({"labels": ["a b=c"]}, "--label: 'a b' is not a label key"),
        ({"labels": ["a=b c"]}, "--label: 'b c' is not a label value"),
        ({"labels": ["training.kubeflow.org/x=1"]}, "--label: training.kubeflow.org/x is set by"),
        ({"timeout": "soon"}, "--timeout: 'soon' is not a duration: write 90"),
        ({"timeout": "99999999999999"}, "--timeout: '99999999999999' is longer than 68 years"),
        ({"memory": "1e999999"}, "--memory: '1e999999' is not an amount"),
        ({"timeout": "0"}, "--timeout: must be longer than 0"),
        ({"restart_policy": "never"}, "--restart-policy: 'never' is not known: write Never"),
        ({"clean_pods": "Some"}, "--clean-pods: 'Some' is not known: choose from Running, All"),
        ({"nproc_per_node": "0"}, "--nproc-per-node: '0' is neither"),
        ({"mounts": ["nfs:x:/y"]}, "--mount: 'nfs:x:/y' starts with no known kind"),
        ({"mounts": ["pvc:x"]}, "--mount: 'pvc:x' is not of the form pvc:NAME:/path"),
        ({"mounts": ["pvc:x:/y:rw"]}, "--mount: 'pvc:x:/y:rw' ends with 'rw'"),
        ({"mounts": ["memory:big:/y"]}, "--mount: 'big' is not an amount"),
        ({"mounts": ["pvc:x:/"]}, "--mount: 'pvc:x:/' would cover the whole file system"),
        ({"tolerations": ["key:Sometimes"]}, "--toleration: 'key:Sometimes' ends with no known"),
        ({"image": "two words"}, "--image: 'two words' is not an image"),
        ({"gpu_resource": "gpu"}, "--gpu-resource: 'gpu' is not a resource name"),
        ({"pull_secrets": ["Bad_Name"]}, "--pull-secret: 'Bad_Name' is not a Kubernetes name"),
        ({"queue": "Team A"}, "--queue: 'Team A' is not a queue"),
        ({"priority_class": "High!"}, "--priority-class: 'High!' is not a Kubernetes name"),
        ({"pod_template": ""}, "--pod-template: '' is neither the name of a file"),
        ({"patch": 3}, "--patch: 3 is not a list"),
        ({"env": 3}, "--env: 3 is not a list"),
        ({"suspend": "maybe"}, "--suspend: 'maybe' is neither true nor false"),
        ({"namespace": "A"}, "--namespace: 'A' is not a namespace"),
        ({"out_job": "1x"}, "--out-job: '1x' is not the name of a variable"),
        ({"out_job": "class"}, "--out-job: 'class' is not the name of a variable"),
    ],
)
def test_wrong_value_is_named_by_its_option(said_values: dict[str, Any], message: str) -> None:
    """The error names the option as it is typed and gives an example, in one line."""
    with pytest.raises(OptionError) as refused:
        CellOptions.read(said_values)

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("typed", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400)]
)
def test_durations_have_units(typed: str, seconds: int) -> None:
    """A bare number counts seconds."""
    assert JobOptions.read({"timeout": typed}).timeout == seconds


def test_python_values_are_as_good_as_typed_ones() -> None:
    """The Python API takes numbers and mappings where the line has text."""
    read = JobOptions(workers=2, env={"A": "b"}, cpu=Quantity(0.5), timeout=90)

    assert (read.workers, read.env, read.timeout) == (2, {"A": "b"}, 90)
    assert read.cpu
    assert read.cpu.value == Quantity("500m").value


def test_every_option_is_explained() -> None:
    """No option lacks help, and no two are typed alike."""
    known = options(CellOptions)
    flags = [flag(field, option) for field, option in known.items()]

    assert set(known) == {field.name for field in dataclasses.fields(CellOptions)} - {"args"}
    assert all(option.help.endswith(".") for option in known.values())
    assert len(flags) == len(set(flags))


@pytest.mark.parametrize(
    ("text", "value"),
    [("100n", "0.0000001"), ("500m", "0.5"), ("2", "2"), ("4Gi", 2**32), ("4G", 4e9), ("1e3", 1e3)],
)
def test_quantities_have_the_servers_values(text: str, value: float | str) -> None:
    """Every suffix that a cluster accepts is understood."""
    assert Quantity(text).value == Decimal(value)


@pytest.mark.parametrize(
    ("resource", "amount", "written"),
    [
        ("cpu", "2000m", "2"),
        ("cpu", "1.5", "1500m"),
        ("nvidia.com/gpu", "1e3", "1000"),
        ("memory", "3072Mi", "3Gi"),
        ("memory", "1536Mi", "1.5Gi"),
        ("memory", "16384128Ki", "15.63Gi"),
        ("memory", "0", "0"),
        ("ephemeral-storage", "2048Gi", "2Ti"),
        ("pods", "12", "12"),
    ],
)
def test_amounts_are_written_for_people(resource: str, amount: str, written: str) -> None:
    """Bytes in the unit that fits, the rest as numbers."""
    assert people(resource, Quantity(amount).value) == written


@pytest.mark.parametrize(
    ("seconds", "typed"), [(0, "0s"), (90, "1m30s"), (5400, "1h30m"), (86400, "1d")]
)
def test_durations_are_written_as_they_are_typed(seconds: int, typed: str) -> None:
    """And read again."""
    assert values.duration(seconds) == typed
    assert values.seconds(typed) == seconds


def test_quantities_keep_their_text() -> None:
    """1024Mi is worth 1Gi, and still reads 1024Mi."""
    assert Quantity("1024Mi").value == Quantity("1Gi").value
    assert str(Quantity("1024Mi")) == "1024Mi"


@pytest.mark.parametrize(
    "text", ["", "1GB", "1Gi\n", "1e1.5", "1e999999", "1e-99", "9" * 70, "0x1"]
)
def test_what_is_no_quantity_is_a_value_error(text: str) -> None:
    """No text makes arithmetic fail later."""
    with pytest.raises(ValueError, match=r"quantity|exponent"):
        Quantity(text)
