"""Bodies in protobuf, as clients written in Go send them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.local.apiserver.protobuf import KINDS, MEDIA_TYPE, decode
from pyjob_magic.local.status import StatusError
from tests.data import read
from tests.local.api import Api

RECORDED = read("protobuf.json")  # what kubectl 1.32 sent, and the object that it meant
Json = dict[str, Any]


def field(number: int, value: bytes | int) -> bytes:
    """Return a field of a message; lengths and numbers up to 2 ** 64."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value % 2**64)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    more, rest = value >> 7, value & 0x7F
    return bytes([rest | 0x80]) + varint(more) if more else bytes([rest])


def body(kind: str, raw: bytes, api_version: str = "v1") -> bytes:
    head = field(1, api_version.encode()) + field(2, kind.encode())
    return b"k8s\0" + field(1, head) + field(2, raw)


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["claim"])
def test_what_kubectl_sends(recorded: Json) -> None:
    """It is the object that it would have sent as JSON."""
    found = decode(base64.b64decode(recorded["body"]), recorded["object"]["kind"])
    assert found == recorded["object"]


@pytest.mark.parametrize("recorded", RECORDED[:3], ids=lambda recorded: recorded["claim"])
def test_an_object_is_stored(api: Api, recorded: Json) -> None:
    """The answer is JSON, which such clients take as well."""
    path = recorded["path"].replace("default", api.namespace).partition("?")[0]
    response = api.http.post(
        path,
        params={"dryRun": "All"},
        content=base64.b64decode(recorded["body"]),
        headers={"content-type": MEDIA_TYPE, "accept": f"{MEDIA_TYPE},application/json"},
    )
    assert response.status_code == 201, response.text
    stored, meant = response.json(), recorded["object"]
    assert stored["metadata"]["name"] == meant["metadata"]["name"]
    assert stored.get("data") == meant.get("data")


def test_owners_finalizers_and_times() -> None:
    """All of metadata that a client may set."""
    owner = field(1, b"PyTorchJob") + field(3, b"j") + field(4, b"u") + field(5, b"kubeflow.org/v1")
    metadata = (
        field(1, b"a")
        + field(8, field(1, 1_767_225_600))
        + field(11, field(1, b"team") + field(2, b"a"))
        + field(13, owner + field(6, 1) + field(7, 0))
        + field(14, b"x/y")
        + field(14, b"x/z")
        + field(99, b"from a later version")
    )
    found = decode(body("ConfigMap", field(1, metadata) + field(4, 0)), "ConfigMap")
    assert found == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "a",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"team": "a"},
            "ownerReferences": [
                {
                    "kind": "PyTorchJob",
                    "name": "j",
                    "uid": "u",
                    "apiVersion": "kubeflow.org/v1",
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
            "finalizers": ["x/y", "x/z"],
        },
        "immutable": False,
    }


def test_options_of_a_deletion() -> None:
    """A grace of nothing is not the same as no grace."""
    raw = field(1, 0) + field(2, field(1, b"u")) + field(4, b"Orphan") + field(5, b"All")
    found = decode(body("DeleteOptions", raw), "DeleteOptions")
    assert found == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u"},
        "propagationPolicy": "Orphan",
        "dryRun": ["All"],
    }


def test_numbers_below_zero() -> None:
    """They are what they are; who reads them may object."""
    found = decode(body("DeleteOptions", field(1, -5)), "DeleteOptions")
    assert found["gracePeriodSeconds"] == -5


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"k8s\0",
        b"k8s\0\x0a\xff",
        b"k8s\0" + b"\xff" * 20,
        body("Secret", b""),
        body("ConfigMap", b"\x0b"),
        body("ConfigMap", field(1, 7)),
        body("ConfigMap", field(1, field(1, b"\xff\xfe"))),
        body("ConfigMap", field(4, b"yes")),
        body("ConfigMap", field(1, field(8, field(1, 2**62)))),
    ],
)
def test_what_cannot_be_read(content: bytes) -> None:
    """400, whatever is the matter with it."""
    with pytest.raises(StatusError, match="must be of type ConfigMap") as caught:
        decode(content, "ConfigMap")
    assert caught.value.code == 400


@given(raw=st.binary(max_size=200), kind=st.sampled_from(sorted(KINDS)))
def test_nothing_worse_comes_of_any_bytes(raw: bytes, kind: str) -> None:
    """Either an object of JSON, or 400."""
    try:
        assert json.loads(json.dumps(decode(body(kind, raw), kind)))["kind"] == kind
    except StatusError as error:
        assert error.code == 400  # noqa: PT017 - both outcomes are fine


def test_kinds_that_have_no_protobuf(api: Api) -> None:
    """Custom resources have none, with a cluster either: 415."""
    response = api.http.post(
        api.jobs, content=body("PyTorchJob", b""), headers={"content-type": MEDIA_TYPE}
    )
    assert (response.status_code, response.json()["reason"]) == (415, "UnsupportedMediaType")
