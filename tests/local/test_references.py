"""Where the values of variables come from."""

from __future__ import annotations

import base64
from typing import Any

import psutil
import pytest

from pyjob_magic.local.kubelet.references import Find, MissingError, References, amount, field
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import Resource

POD: Json = {
    "metadata": {
        "name": "p",
        "namespace": "n",
        "labels": {"b": 'say "hi"', "a": "1"},
        "annotations": {"note": "two\nlines"},
    },
    "spec": {
        "nodeName": "here",
        "containers": [
            {
                "name": "c",
                "resources": {"limits": {"cpu": "1500m", "memory": "1Gi"}, "requests": {"cpu": 1}},
            },
            {"name": "free"},
        ],
    },
}


def secret(**data: bytes) -> Json:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"kind": "Secret", "data": encoded}


def having(**objects: Json) -> Find:
    """Return a way to find the given Secrets and ConfigMaps by name."""

    def find(resource: Resource, name: str) -> Json | None:
        found = objects.get(name)
        return found if found and found["kind"] == resource.kind else None

    return find


def references(**objects: Json) -> References:
    return References(POD, POD["spec"]["containers"][0], having(**objects))


CONFIG: Json = {"kind": "ConfigMap", "data": {"key": "plain"}, "binaryData": {"raw": "AAE="}}
SECRET = secret(key=b"hidden", raw=b"\xff\xfe")


@pytest.mark.parametrize(
    ("word", "key", "expected"),
    [
        ("configMapKeyRef", "key", "plain"),
        ("secretKeyRef", "key", "hidden"),
        ("secretKeyRef", "raw", "\udcff\udcfe"),
    ],
)
def test_a_key_has_a_value(word: str, key: str, expected: str) -> None:
    """Bytes that are no text reach the program as they are."""
    kind = "config" if word.startswith("config") else "secret"
    found = references(config=CONFIG, secret=SECRET)
    assert found.value({word: {"name": kind, "key": key}}) == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "no", "key": "k"}}, 'configmap "no" not found'),
        ({"secretKeyRef": {"name": "no", "key": "k"}}, 'secret "no" not found'),
        (
            {"secretKeyRef": {"name": "secret", "key": "k"}},
            "couldn't find key k in Secret n/secret",
        ),
        ({"secretKeyRef": {"name": "config", "key": "key"}}, 'secret "config" not found'),
    ],
)
def test_what_is_missing_is_named(source: Json, message: str) -> None:
    """In the words of a kubelet; no value is among them."""
    with pytest.raises(MissingError) as error:
        references(config=CONFIG, secret=SECRET).value(source)
    assert str(error.value) == message


@pytest.mark.parametrize("name", ["no", "secret"])
def test_what_is_optional_may_be_missing(name: str) -> None:
    """The variable is left out: neither the Secret nor the key needs to be there."""
    source = {"secretKeyRef": {"name": name, "key": "k", "optional": True}}
    assert references(secret=SECRET).value(source) is None


def test_a_whole_secret_becomes_variables() -> None:
    """With a prefix, if there is one."""
    source = {"secretRef": {"name": "s"}, "prefix": "MY_"}
    assert references(s=secret(a=b"1", b=b"2")).variables(source) == {"MY_a": "1", "MY_b": "2"}


def test_keys_that_are_no_names_are_skipped_aloud() -> None:
    """A shell would drop them without a word."""
    found = references(s=secret(**{"ok": b"1", "no.good": b"2", "1st": b"3"}))

    assert found.variables({"secretRef": {"name": "s"}}) == {"ok": "1"}
    assert found.skipped == [
        "Keys [1st, no.good] from the EnvFrom secret n/s were skipped since they are considered "
        "invalid environment variable names."
    ]


def test_an_optional_source_gives_no_variables() -> None:
    """Without it, it is missed."""
    assert references().variables({"secretRef": {"name": "s", "optional": True}}) == {}
    with pytest.raises(MissingError, match='secret "s" not found'):
        references().variables({"secretRef": {"name": "s"}})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "p"),
        ("spec.nodeName", "here"),
        ("status.hostIP", "127.0.0.1"),
        ("metadata.labels['a']", "1"),
        ("metadata.labels['none']", ""),
        ("metadata.labels", 'a="1"\nb="say \\"hi\\""'),
        ("metadata.annotations", 'note="two\\nlines"'),
        ("spec.none", None),
    ],
)
def test_a_pod_tells_of_itself(path: str, expected: str | None) -> None:
    """Labels and annotations one by one, or all of them as a list."""
    assert field(POD, path) == expected


@pytest.mark.parametrize(
    ("resource", "more", "expected"),
    [
        ("limits.cpu", {}, "2"),
        ("limits.cpu", {"divisor": "1m"}, "1500"),
        ("limits.memory", {"divisor": "1Mi"}, "1024"),
        ("requests.cpu", {}, "1"),
        ("requests.memory", {"divisor": "1Gi"}, "1"),
        ("requests.cpu", {"containerName": "free"}, "0"),
    ],
)
def test_amounts_are_rounded_up(resource: str, more: dict[str, Any], expected: str) -> None:
    """To whole divisors; what is not requested is what it may use."""
    assert amount(POD, {"resource": resource, **more}, POD["spec"]["containers"][0]) == expected


def test_who_has_no_limit_may_use_the_machine() -> None:
    """As a node tells it to a container."""
    ref = {"resource": "limits.memory", "containerName": "free"}
    assert int(amount(POD, ref)) == psutil.virtual_memory().total
