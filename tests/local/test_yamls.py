"""YAML in the place of JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.local.apiserver.yamls import to_json
from pyjob_magic.local.status import StatusError
from tests.local.shapes import generated

LIMIT = 10_000


def read(text: str) -> Any:
    return json.loads(to_json(text.encode(), LIMIT))


def test_json_stays_as_it_is() -> None:
    """To the byte: also what YAML would read in another way."""
    body = b'{"a": "\\ud83d\\ude00", "b": 1e3, "b": 2}\n'
    assert to_json(body, LIMIT) is body


@generated
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=6,
    )
)
def test_yaml_means_what_the_same_json_means(value: Any) -> None:
    body = yaml.dump(value, Dumper=QuotingDumper).encode()
    assert json.loads(to_json(body, 10**9)) == value


class QuotingDumper(yaml.SafeDumper):
    """Quotes all text: what is text to PyYAML may be a number to Kubernetes, such as 0E0."""

    def represent_text(self, value: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", value, style='"')


QuotingDumper.add_representer(str, QuotingDumper.represent_text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("0x1F", 31),
        ("010", 8),
        ("08", "08"),
        ("1_000", "1_000"),
        ("1e3", 1000),
        ("-.5", -0.5),
        ("yes", True),
        ("'1'", "1"),
        ("~", None),
        ("", None),
        ("{2: a, true: b, .5: c}", {"2": "a", "true": "b", "0.5": "c"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
    ],
)
def test_scalars_are_read_as_kubernetes_reads_them(text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: &x [*x]",
        "a: {<<: {b: 1}}",
        "a: !!binary eA==",
        "a: !!set {x}",
        "a: !!timestamp 2026-01-01",
        "a: !!bool x",
        "a: !!int x",
        "a: !!python/object:os.system x",
        "{[a]: b}",
        "a: 1\n---\na: 2",
        "a: \x00",
        "9" * 5000,
        "[" * 5000,
    ],
)
def test_what_json_cannot_say_is_malformed(text: str) -> None:
    with pytest.raises(StatusError, match=r"error decoding YAML: .") as refused:
        read(text)
    assert refused.value.code == 400


def test_aliases_make_no_more_than_may_be_sent() -> None:
    """A billion laughs; also one long word that is told again and again."""
    laughs = "a0: &a0 [ha, ha]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
    )
    word = f"- &w {'x' * 1000}\n" + "- *w\n" * 10
    for bomb in (laughs, word):
        with pytest.raises(StatusError, match="excessive aliasing"):
            read(bomb)
