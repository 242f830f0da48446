"""What an Accept header asks for."""

from __future__ import annotations

import pytest

from pyjob_magic.local.apiserver.accept import Form, choose
from pyjob_magic.local.status import StatusError

TABLE = Form("meta.k8s.io", "v1", "Table")
OLD_TABLE = Form("meta.k8s.io", "v1beta1", "Table")
AS_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", None),
        ("application/json", None),
        ("*/*", None),
        ("application/json, */*", None),
        ("APPLICATION/JSON", None),
        ("application/json;stream=watch", None),
        ("application/vnd.kubernetes.protobuf,application/json", None),
        (AS_TABLE, TABLE),
        (f"{AS_TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", TABLE),
        (f"application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,{AS_TABLE}", TABLE),
        ('application/json; as="Table"; v=v1; g=meta.k8s.io', TABLE),
        (f"application/json;q=0.5,{AS_TABLE}", TABLE),
        (f"{AS_TABLE};q=0.5,application/json", None),
        (f"*/*,{AS_TABLE}", TABLE),
        (f"{AS_TABLE};q=few,application/json;q=0.1", None),
    ],
)
def test_the_first_that_can_be_had(accept: str, chosen: Form | None) -> None:
    """By weight, then by how exact they are, then in their order; protobuf is passed over."""
    assert choose(accept, (TABLE, OLD_TABLE)) == chosen


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/vnd.kubernetes.protobuf",
        "application/json;as=Table;v=v2;g=meta.k8s.io",
        "application/json;as=Chair;v=v1;g=meta.k8s.io",
        "application/json;stream=logs",
        ",",
        ";;;",
    ],
)
def test_nothing_that_could_be_had(accept: str) -> None:
    """406, and what there would be."""
    with pytest.raises(StatusError, match="are accepted: application/json") as caught:
        choose(accept, (TABLE,))
    assert (caught.value.code, caught.value.body["reason"]) == (406, "NotAcceptable")
