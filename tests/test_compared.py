"""Jobs beside each other: what differs between them, and what they have measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyjob_magic._compared import Side, compare
from pyjob_magic._diff import MOST_LINES
from pyjob_magic.metrics import Point, Series


def strict(*sides: Side) -> dict[str, Any]:
    """Return the comparison as a browser gets it, which knows no NaN."""
    return dict(json.loads(json.dumps(compare(sides), allow_nan=False)))


def rows(*sides: Side) -> dict[str, tuple[list[Any], bool]]:
    return {key: (values, differs) for key, values, differs in strict(*sides)["rows"]}


def losses(*values: float, replica: str = "master-0") -> list[Series]:
    points = [Point(step, value) for step, value in enumerate(values)]
    return [Series(replica, "loss", "step", points)]


def test_options_stand_under_the_flags_that_say_them() -> None:
    """What one has not said is not there; the names tell the columns apart, and are no row."""
    first = Side("a", "a --workers 2 --cpu 4 --env LR=0.1 --env B=2")
    second = Side("b", "b -w 2 --env LR=0.2 --suspend")

    assert strict(first, second)["columns"] == ["a", "b"]
    found = rows(first, second)
    assert found["--workers"] == (["2", "2"], False)
    assert found["--cpu"] == (["4", None], True)
    assert found["--env"] == ([["LR=0.1", "B=2"], ["LR=0.2"]], True)
    assert found["--suspend"] == ([None, True], True)
    assert "NAME" not in found
    assert [key for key in found if "name" in key.lower()] == []


def test_facts_come_first_and_the_code_last() -> None:
    sides = [
        Side(name, f"{name} --cpu 1", {"state": state}, source)
        for name, state, source in (("a", "Failed", "x = 1\ny\n"), ("b", "Succeeded", "x = 1\nz\n"))
    ]

    assert [key for key, *_ in strict(*sides)["rows"]] == ["state", "--cpu", "code"]
    assert rows(*sides)["state"] == (["Failed", "Succeeded"], True)
    assert rows(*sides)["code"] == (["2 lines", "2 lines"], True)


def test_the_third_can_be_the_one_that_differs() -> None:
    sides = [Side(str(n), f"x --cpu {cpu}", source="s" + "\n" * n) for n, cpu in enumerate("112")]

    assert rows(*sides)["--cpu"][1]
    assert not rows(*sides)["code"][1]


def test_a_job_that_was_not_made_from_a_cell() -> None:
    """Nor one whose line cannot be read any more keeps the others from being compared."""
    sides = Side("a", None), Side("b", "b --no-such-option", source="s"), Side("c", "c --cpu 1")

    assert rows(*sides)["--cpu"] == ([None, None, "1"], True)
    assert rows(*sides)["code"] == ([None, "1 line", None], True)


def test_names_of_a_notebook_are_left_as_they_were_typed() -> None:
    """What they stood for then is not known here."""
    sides = Side("a", "a --env LR={lr} --cpu {{1}}"), Side("b", "b --env 'LR={lr}'")

    assert rows(*sides)["--env"] == ([["LR={lr}"], ["LR={lr}"]], False)


def test_nothing_that_a_job_says_is_evaluated(tmp_path: Path) -> None:
    """Anybody may have submitted it."""
    file = tmp_path / "pwned"
    line = f"--env A={{open({str(file)!r}, 'w')}} --env 'B={{x!r:>3}}'".replace("'", '"')

    found = rows(Side("a", line), Side("b", line))

    assert found["--env"][0][0][1] == "B={x!r:>3}"
    assert not file.exists()


def test_metrics_share_a_chart() -> None:
    """Whose line is whose is said, of a job with one line by its name; gaps for no numbers."""
    found = strict(
        Side("a", series=losses(1, 0.5)),
        Side("b", series=[*losses(2, float("nan")), *losses(3, replica="worker-0")]),
    )

    (chart,) = found["charts"]
    assert chart["name"] == "loss"
    assert [each["replica"] for each in chart["series"]] == [
        "a",
        "b master-0",
        "b worker-0",
    ]
    assert [each["y"] for each in chart["series"]] == [[1, 0.5], [2, None], [3]]
    assert found["charts_note"] == ""
    assert found["lines"] == {
        "a": ["a", "master-0"],
        "b master-0": ["b", "master-0"],
        "b worker-0": ["b", "worker-0"],
    }


def test_where_the_code_differs_is_shown() -> None:
    """Each against the first, with lines around; of those that have the same code, nothing."""
    same = "".join(f"line {number}\n" for number in range(1, 21))
    changed = same.replace("line 2\n", "line two\n").replace("line 19\n", "")
    names = {"a": same, "b": same + "\n", "c": changed, "d": None}

    (found,) = strict(*(Side(name, source=source) for name, source in names.items()))["diffs"]

    assert (found["before"], found["after"], found["note"]) == ("a", "c", "")
    assert found["lines"] == [
        ["", 1, 1, "line 1"],
        ["-", 2, None, "line 2"],
        ["+", None, 2, "line two"],
        ["", 3, 3, "line 3"],
        ["", 4, 4, "line 4"],
        ["", 5, 5, "line 5"],
        ["\u2026", None, None, ""],
        ["", 16, 16, "line 16"],
        ["", 17, 17, "line 17"],
        ["", 18, 18, "line 18"],
        ["-", 19, None, "line 19"],
        ["", 20, 19, "line 20"],
    ]


def test_code_of_any_size_can_be_compared() -> None:
    """With as many lines and characters as a page bears."""
    first = "".join(f"{number % 150}\n" for number in range(20_000))
    second = "".join(f"{number * 7 % 150}\n" for number in range(20_000))
    long = Side("c", source="x" * 1_000_000)

    found = strict(Side("a", source=first), Side("b", source=second), long)["diffs"]

    assert [len(each["lines"]) <= MOST_LINES for each in found] == [True, True]
    assert "the first 400 of " in found[0]["note"]
    assert "only the first 2,000 lines of each" in found[0]["note"]
    assert len(json.dumps(found)) < 100_000


def test_line_ends_alone_are_a_difference() -> None:
    (found,) = strict(Side("a", source="x\ny"), Side("b", source="x\r\ny"))["diffs"]

    assert [sign for sign, *_ in found["lines"]] == ["-", "+", ""]


def test_the_older_job_comes_first() -> None:
    """What has changed since is new, in whatever order they were selected."""
    new = Side("new", facts={"submitted": "2026-01-01T00:00:02Z"}, source="b")
    old = Side("old", facts={"submitted": "2026-01-01T00:00:01Z"}, source="a")

    found = strict(new, old)

    assert found["columns"] == ["old", "new"]
    assert [sign for sign, *_ in found["diffs"][0]["lines"]] == ["-", "+"]
