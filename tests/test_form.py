"""The form: the options of the magic, with its checks, and nothing lost on the way and back."""

from __future__ import annotations

import ast
import re
import shlex
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from pyjob_magic import _form as form
from pyjob_magic._line import cell_parser, expand, read_cell_line
from pyjob_magic.errors import OptionError
from pyjob_magic.manifest import Origin, build, read, to_yaml
from pyjob_magic.models import PyTorchJob
from pyjob_magic.options import CellOptions, flag, options
from pyjob_magic.profiles import Profile, Setting
from pyjob_magic.values import is_secret
from tests.sources import HOSTILE

ROOT = Path(__file__).parent.parent
ORIGIN = Origin(time="2026-11-24T12:00:00Z", suffix="x7k2p")
FIELDS = {field["field"]: field for group in form.describe() for field in group["fields"]}
NAMES = dict.fromkeys("abcxyz", "wrong")
"""What a notebook has beside what is meant: nothing of it may get into a value."""

ONE_LINE = st.text(st.characters(exclude_categories=["Cs", "Co", "Cc", "Zl", "Zp"]), max_size=12)
TYPED = st.one_of(
    ONE_LINE,
    st.text("ab${}'\"\\ -=:,/#%é", max_size=12),
    st.sampled_from(["-h", "--help", "--wait", "$x", "{x}", "{{x}}", "$$x", "it's", '"', "é"]),
    st.sampled_from(
        ["1", "2", "4Gi", "30m", "a", "A=1", "a=b", "pvc:a:/b", "memory:1Gi:/m:", "t:"]
    ),
    st.sampled_from(["nvidia.com/gpu", "Never", "All", "server", "client", "auto", "@f.yaml"]),
).filter(lambda text: text != "--")


def of_field(field: str) -> st.SearchStrategy[Any]:
    kind = FIELDS[field]["kind"]
    if kind == "switch":
        return st.just(True)
    if field == "args":
        return st.lists(TYPED, max_size=4).map(lambda words: shlex.join(words) or " ")
    if kind == "lines":
        entries = TYPED.filter(lambda text: text and not is_secret(text.partition("=")[0]))
        return st.lists(entries, min_size=1, max_size=3)
    texts = TYPED.filter(bool)
    return texts.filter(lambda text: not text.startswith("-")) if field == "name" else texts


anything = st.fixed_dictionaries({}, optional={field: of_field(field) for field in FIELDS})
"""What somebody may have typed, right or wrong."""

right = st.fixed_dictionaries(
    {},
    optional={
        "name": st.from_regex(r"[a-z]([-a-z0-9]{0,9}[a-z0-9])?", fullmatch=True),
        "image": ONE_LINE.filter(lambda text: text and not re.search(r"\s", text)),
        "workers": st.integers(0, 100).map(str),
        "cpu": st.sampled_from(["500m", "2", "0.5"]),
        "memory": st.sampled_from(["4Gi", "1024Mi", "4G", "5e9"]),
        "timeout": st.integers(1, 10**6).map(lambda seconds: f"{seconds}s"),
        "ttl": st.sampled_from(["0", "1d2h", "1h30m", "90"]),
        "env": st.dictionaries(st.from_regex(r"[B-D]{1,3}", fullmatch=True), ONE_LINE, min_size=1),
        "labels": st.just(["team=a", "example.com/x="]),
        "annotations": st.dictionaries(st.sampled_from(["n", "m"]), ONE_LINE, min_size=1),
        "tolerations": st.just(["gpu", "gpu=yes", "gpu=:NoExecute", "gpu:NoSchedule"]),
        "mounts": st.just(["pvc:a:/a", "secret:b:/b:ro", "configmap:c:/c c", "memory:1Gi:/d"]),
        "patch": st.just(['{"spec": {}}', "@patch.yaml"]),
        "restart_policy": st.sampled_from(["Never", "OnFailure"]),
        "dry_run": st.sampled_from(["client", "server"]),
        "wait": st.just(True),
        "args": st.lists(ONE_LINE).map(lambda words: shlex.join(words) or " "),
    },
).map(
    lambda said: {
        field: [f"{key}={text}" for key, text in value.items()]
        if isinstance(value, dict)
        else value
        for field, value in said.items()
    }
)
"""What can be submitted."""


def test_every_option_of_the_magic_is_there_once() -> None:
    """With the flag that is typed, its help and its choices; so are the program's arguments."""
    shown = [field for group in form.describe() for field in group["fields"]]
    known = options(CellOptions)
    typed = [field for field in shown if field["field"] != "args"]

    assert sorted(field["field"] for field in typed) == sorted(known)
    assert len(shown) == len(typed) + 1
    assert {field["flag"] for field in typed} - {"NAME"} == set(cell_parser().flags())
    for field in typed:
        option = known[field["field"]]
        told = (field["flag"], field["help"], field["metavar"], tuple(field["choices"]))
        assert told == (flag(field["field"], option), option.help, option.metavar, option.choices)


def test_a_choice_is_what_takes_nothing_else() -> None:
    """A list to choose from would keep people from what an option also takes."""
    for field, option in options(CellOptions).items():
        if FIELDS[field]["kind"] == "choice":
            assert [option.read(choice) for choice in option.choices] == list(option.choices)
            with pytest.raises(ValueError, match="is not known"):
                option.read("something else")
        if FIELDS[field]["kind"] == "number":
            with pytest.raises(ValueError, match="is not a whole number"):
                option.read("auto")


def test_what_is_needed_first_comes_first() -> None:
    """The rest is folded."""
    groups = form.describe()

    assert [group["title"] for group in groups if not group["folded"]] == ["Job", "Resources"]
    assert [field["flag"] for field in groups[0]["fields"]][:3] == ["NAME", "--image", "--workers"]
    assert FIELDS["workers"]["kind"] == "number"
    assert FIELDS["nproc_per_node"]["kind"] == "text"
    assert FIELDS["env"]["kind"] == FIELDS["patch"]["kind"] == "lines"
    assert FIELDS["wait"]["kind"] == "switch"


def test_an_empty_field_shows_what_holds() -> None:
    """The default, or what the profile says; no secret."""
    said = {
        "memory": "8Gi",
        "env": {"HF_TOKEN": "s3cret", "A": "1"},
        "mounts": options(CellOptions)["mounts"].read(["pvc:data:/data:ro"]),
        "patch": [{"spec": {"password": "s3cret"}}],
        "namespace": "team-a",
    }
    profile = Profile("gpu", settings={f: Setting(v, ("pyjob.toml",)) for f, v in said.items()})
    shown = {f["field"]: f["placeholder"] for g in form.describe(profile) for f in g["fields"]}

    assert FIELDS["name"]["placeholder"] == "generated if empty"
    assert FIELDS["memory"]["placeholder"] == "no limit"
    assert FIELDS["backoff_limit"]["placeholder"] == "3"
    assert FIELDS["env"]["placeholder"] == ""
    assert (shown["memory"], shown["namespace"]) == ("8Gi", "team-a")
    assert shown["env"] == "HF_TOKEN=***, A=1"
    assert shown["mounts"] == "pvc:data:/data:ro"
    assert "s3cret" not in str(shown)


@pytest.mark.parametrize(
    ("values", "problems"),
    [
        ({}, {}),
        ({"name": "", "env": [], "wait": False, "memory": None}, {}),
        ({"memory": "4GB"}, {"memory": "'4GB' is not an amount: write 4Gi (1024-based)"}),
        ({"memory": "4GB", "workers": "x"}, {"memory": "'4GB'", "workers": "'x' is not a whole"}),
        ({"env": ["A=1", "RANK=1"]}, {"env": "RANK is set by the training operator"}),
        ({"name": "a" * 54, "workers": "12"}, {"name": "'aaaa"}),
        ({"name": "a" * 54, "workers": "x"}, {"workers": "'x'"}),
        ({"suspend": True, "wait": True}, {"suspend": "a suspended job never ends"}),
        ({"args": "--name 'x"}, {"args": "No closing quotation; quotes come in pairs"}),
        ({"args": "x\\"}, {"args": "No escaped character"}),
        ({"args": "a\nb"}, {}),
        ({"image": "--", "args": "--"}, {"image": "'--' is not a value: arguments"}),
        ({"args": "'a\nb'"}, {"args": "has a line break, but all options must fit on one line"}),
        ({"env": ["A=1\n2"]}, {"env": "has a line break"}),
        ({"env": ["A=1\u2028"]}, {"env": "has a line break"}),
        ({"patch": ["spec:\n  a: 1"]}, {"patch": "has a line break, but all options must fit on "}),
        ({"name": "--wait"}, {"name": "'--wait' is not a job name"}),
    ],
)
def test_each_field_has_its_own_message(values: dict[str, Any], problems: dict[str, str]) -> None:
    """That of the magic; what concerns several stands where it can be mended."""
    found = form.check(values)

    assert found.keys() == problems.keys()
    assert all(found[field].startswith(problems[field]) for field in found)


@settings(deadline=None)  # the first one imports
@given(anything)
def test_what_the_magic_takes_is_what_the_form_takes(values: dict[str, Any]) -> None:
    """Neither refuses what the other would run, nor with another reason."""
    if problems := form.check(values):
        with pytest.raises(OptionError) as refused:
            read_cell_line(_words(values), cell_parser())
        assert problems[str(form.field_of(refused.value.option))] == refused.value.reason
    else:
        assert form.options(values) == read_cell_line(_words(values), cell_parser())


@settings(deadline=None)  # the first one imports
@given(anything)
@example({"env": ["A=$x {y} 'z'"], "args": "'$x' '{y}' --"})
@example({"args": " "})
@example({"name": "a", "dry_run": "server", "image": "b"})
def test_a_line_says_what_the_form_holds(values: dict[str, Any]) -> None:
    """Also what is wrong, so that it can be mended there."""
    assert form.from_line(form.line(values), NAMES) == values


@settings(deadline=None)  # the first one imports
@given(right)
def test_options_make_the_form_that_makes_them(values: dict[str, Any]) -> None:
    """Amounts keep their text, times are written anew."""
    assert form.check(values) == {}

    made = form.options(values)

    assert form.options(form.values_of(made)) == made
    assert form.from_line(form.line(values), NAMES) == values


def test_what_only_python_can_say_is_refused() -> None:
    """An object is no file; that of a patch can be typed."""
    assert form.values_of(CellOptions(patch=[{"a": "é"}])) == {"patch": ['{"a": "\\u00e9"}']}
    with pytest.raises(OptionError, match="--pod-template: is an object, which cannot be typed"):
        form.values_of(CellOptions(pod_template={"spec": {}}))


@settings(deadline=None)  # the first one imports
@given(values=anything, source=st.one_of(st.text(), st.sampled_from(HOSTILE)))
def test_a_notebook_runs_the_cell_as_it_was_in_the_form(
    values: dict[str, Any], source: str
) -> None:
    """IPython takes the cell apart where the form has put it together."""
    source = f"# {source}"  # what looks like a prompt would be taken for one
    cell = form.cell(values, source)

    call = ast.parse(TransformerManager().transform_cell(cell)).body[0]
    assert isinstance(call, ast.Expr)
    assert isinstance(call.value, ast.Call)
    magic, line, body = (ast.literal_eval(argument) for argument in call.value.args)

    assert magic == "pytorchjob"
    assert form.from_line(line, NAMES) == values
    assert body == (source if source.endswith("\n") else f"{source}\n")
    assert form.parts(cell) == (line, source)


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        ("%%pytorchjob\nx", ("", "x")),
        ("\n\n%%pytorchjob  a -w 1  \nx\n\ny\n", ("a -w 1", "x\n\ny\n")),
        ("%%pytorchjob a", ("a", "")),
        ("%%pytorchjobs a\nx", ("", "%%pytorchjobs a\nx")),
        ("x = 1\n%%pytorchjob a", ("", "x = 1\n%%pytorchjob a")),
    ],
)
def test_any_cell_has_a_source(cell: str, parts: tuple[str, str]) -> None:
    """Of one without the magic all of it."""
    assert form.parts(cell) == parts


def test_a_secret_stays_in_the_form() -> None:
    """The cell that is written takes it from the notebook, as does the form that reads it."""
    values = {"env": ["HF_TOKEN=s3cret", "A=1"]}

    line = form.line(values)

    assert line == "--env HF_TOKEN={HF_TOKEN} --env A=1"
    assert form.from_line(line, {"HF_TOKEN": "s3cret"}) == values
    with pytest.raises(OptionError, match="HF_TOKEN"):
        form.from_line(line, {})


@pytest.mark.parametrize("values", [{"env": ["A=\n"]}, {"args": "'"}, {"name": "-x"}])
def test_what_no_line_can_hold_is_refused(values: dict[str, Any]) -> None:
    """Half a cell would be worse than none."""
    with pytest.raises(OptionError):
        form.line(values)


def _real_lines() -> list[str]:
    """Return the lines of all cells that this project shows or runs."""
    files = [ROOT / "README.md", *ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("tests/test_*.py")]
    found = set()
    for file in files:
        for match in re.finditer(r"%%pytorchjob ([a-z].*?)(?:\\n|`|\"|$)", file.read_text(), re.M):
            found.add(match[1].replace('\\"', '"').replace("\\'", "'"))
    return sorted(found)


@pytest.mark.parametrize("line", _real_lines())
def test_real_cells_come_back(line: str) -> None:
    """Cell, form, cell: the words are the same."""
    names = {"name": "ranks", "line": "x", "tmp_path": "/tmp"}
    try:
        read = read_cell_line(expand(line, names), cell_parser())
    except OptionError as slip:
        with pytest.raises(OptionError, match=re.escape(str(slip))):
            form.options(form.from_line(line, names))
        return
    values = form.from_line(line, names)

    assert form.options(values) == read
    assert form.from_line(form.line(values), NAMES) == values


def test_checking_all_fields_is_quick() -> None:
    """It is done at every key."""
    values = {
        field: ["A=1"] * 20 if known["kind"] == "lines" else True
        for field, known in FIELDS.items()
        if known["kind"] in ("lines", "switch")
    } | {field: "1" for field, known in FIELDS.items() if known["kind"] in ("number", "text")}

    def seconds() -> float:
        started = time.perf_counter()
        form.check(values)
        return time.perf_counter() - started

    assert min(seconds() for _ in range(20)) < 0.002


# -- what it comes to ----------------------------------------------------------------------------


def a_job(**said: Any) -> PyTorchJob:
    return build(CellOptions.read({"name": "x", **said}), "pass", ORIGIN).job


def test_totals_are_what_the_whole_job_asks_for() -> None:
    """Replicas times resources, as people write amounts."""
    job = a_job(workers="3", cpu="500m", memory="1536Mi", gpus="2", gpu_resource="amd.com/gpu")

    assert form.totals(job) == [
        {"resource": "cpu", "each": "500m", "replicas": 4, "total": "2"},
        {"resource": "memory", "each": "1.5Gi", "replicas": 4, "total": "6Gi"},
        {"resource": "amd.com/gpu", "each": "2", "replicas": 4, "total": "8"},
    ]
    assert form.totals(a_job()) == []


def test_replica_types_may_differ() -> None:
    """As may the containers of one: requests count, else limits."""

    def replicas(count: int | None, *asked: dict[str, Any]) -> dict[str, Any]:
        spec = {"containers": [{"name": f"c{n}", "resources": r} for n, r in enumerate(asked)]}
        said = {} if count is None else {"replicas": count}
        return {**said, "template": {"spec": spec}}

    master = replicas(
        None, {"limits": {"cpu": 1}}, {"limits": {"cpu": "3"}, "requests": {"cpu": "250m"}}
    )
    worker = replicas(2, {"requests": {"cpu": "2", "memory": "100Mi"}})
    specs = {"pytorchReplicaSpecs": {"Master": master, "Worker": worker}}

    assert form.totals(read({"metadata": {"name": "x"}, "spec": specs})) == [
        {"resource": "cpu", "each": "1250m or 2", "replicas": 3, "total": "5250m"},
        {"resource": "memory", "each": "100Mi", "replicas": 2, "total": "200Mi"},
    ]


def told(**said: Any) -> list[str]:
    """Return the lines of a manifest that are marked."""
    yaml = to_yaml(a_job(**said).to_wire())
    lines = yaml.splitlines()
    numbers = form.differing(yaml, to_yaml(a_job().to_wire()))
    return [lines[number - 1].strip() for number in numbers]


def test_what_was_said_is_marked() -> None:
    """And nothing else, wherever it has moved."""
    assert told() == []
    assert told(image="repo/x:1") == ["image: repo/x:1"]
    assert told(ttl="1h") == ["ttlSecondsAfterFinished: 3600"]
    assert told(env=["A=1"]) == ["env:", "- name: A", "value: '1'"]


def test_a_new_replica_type_is_marked_whole() -> None:
    """Although its lines are those of the other one."""
    marked = told(workers="2")

    assert marked[:2] == ["Worker:", "replicas: 2"]
    assert "- name: pytorch" in marked
    assert "Master:" not in marked


@settings(deadline=None)  # the first one imports
@given(st.lists(st.text("ab:- |\n", max_size=9)).map("\n".join))
def test_nothing_differs_from_itself(text: str) -> None:
    """Whatever it is."""
    assert form.differing(text, text) == []
    assert form.differing(text, "") == list(range(1, len(text.splitlines()) + 1))


def _words(values: dict[str, Any]) -> list[str]:
    """Return the words that somebody would type."""
    words = []
    for field, value in values.items():
        name = FIELDS[field]["flag"]
        if field == "args":
            continue
        if value is True:
            words.append(name)
        elif field == "name":
            words.insert(0, value)
        else:
            words += [f"{name}={text}" for text in (value if isinstance(value, list) else [value])]
    return [*words, "--", *shlex.split(values["args"])] if "args" in values else words
