"""From the lines of a log to named series, to a table of them, and to how far the job has come."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from re import _parser
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic import connect, metrics
from pyjob_magic._tables import MetricTable
from pyjob_magic.metrics import LONGEST_LINE, MOST_SERIES, Collector, Progress, progress, time_left

LIGHTNING = "Epoch 3:  50%|████      | 60/120 [00:03<00:03, 38.2it/s, v_num=0, train_loss=0.123]"
TUTORIAL = "Epoch [2/5], Step [300/600], Loss: 0.5213"
# What tqdm 4.67 writes with the loss as postfix; it redraws the bar by returning to its start.
REDRAWN = (
    "\rEpoch 0:   0%|          | 0/4 [00:00<?, ?it/s]"
    "\rEpoch 0:   0%|          | 0/4 [00:00<?, ?it/s, loss=1]"
    "\rEpoch 0:  25%|██▌       | 1/4 [00:00<00:00, 48.67it/s, loss=1]"
    "\rEpoch 0:  25%|██▌       | 1/4 [00:00<00:00, 48.67it/s, loss=0.5]"
    "\rEpoch 0:  50%|█████     | 2/4 [00:00<00:00, 48.53it/s, loss=0.5]"
)


def collected(*lines: str) -> Collector:
    collector = Collector()
    for line in lines:
        collector.take("master-0", line)
    return collector


def found(*lines: str) -> dict[str, list[tuple[str, float, float]]]:
    """Return axis, step and value of what is found, by name."""
    return {
        series.name: [(series.axis, *point) for point in series.points]
        for series in collected(*lines).series
    }


# -- series --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("loss=0.5", {"loss": 0.5}),
        ("accuracy=0.919 on 297 images never seen", {"accuracy": 0.919}),
        ("2022-01-18T05:44:49Z INFO     val-acc = .5, lr=+1E-4;", {"val-acc": 0.5, "lr": 1e-4}),
        ("INFO:root:train/loss=1e-3 mAP@0.5=0.61", {"train/loss": 1e-3, "mAP@0.5": 0.61}),
        ("[default0]:loss=-2. step_time=0.35s", {"loss": -2.0, "step_time": 0.35}),
        ("(loss=0.25)", {"loss": 0.25}),
        ("\x1b[1mloss\x1b[0m=0.5", {"loss": 0.5}),
        ("loss=tensor(0.5230, device='cuda:0', grad_fn=<NllLossBackward0>)", {"loss": 0.523}),
        ("Accuracy: 44.1%, Avg loss: 2.158104", {"Accuracy": 44.1, "loss": 2.158104}),
        ('2024-01-02 {"loss": 0.5, "ok": true, "name": "x"}', {"loss": 0.5}),
        ('{"train": {"loss": 0.5, "acc": {"top1": 1}}}', {"train/loss": 0.5, "train/acc/top1": 1}),
        ('{"level": "info", "ts": 1.7e9, "msg": "after 3 h loss=0.5"}', {"loss": 0.5}),
        ("{'loss': np.float64(0.5)}", {"loss": 0.5}),
    ],
)
def test_values_are_found(line: str, values: dict[str, float]) -> None:
    """As Katib's collector does, and in what people print besides."""
    assert {name: points[0][2] for name, points in found(line).items()} == values


@pytest.mark.parametrize(
    "line",
    [
        "PATH=/usr/bin HOME=/root SHLVL=1 _CE_M=1.5 OMP_NUM_THREADS=1 RANK=0",
        "environ({'PATH': '/usr/bin', 'OMP_NUM_THREADS': '1', 'RANK': '0'})",
        "https://host:8080/a/loss=0.5?loss=0.5&acc=1 s3://bucket/epoch=3/loss=0.5",
        "torch==2.3.0 v=2.3.0 version=2.3 ip=10.0.0.1 n=1,234",
        "x=None y=True z=abc",
        "date=2024-01-02 at=12:30:01 addr=0x1f commit=1234567 job_id=17 seed=42",
        "checkpoints/epoch=3-step=300.ckpt",
        "Linear(in_features=10, out_features=5, bias=True)",
        "port: 80, GPU: 3",
        '  "hidden_size": 768,',
        "[1, 2, 3]",
        "step=3 epoch=1",
        "a == 5 and b != 5 and c <= 5",
    ],
)
def test_what_is_no_metric(line: str) -> None:
    """Settings, labels, versions and addresses are not measured."""
    assert found(line) == {}


@pytest.mark.parametrize(
    ("line", "axis", "step"),
    [
        ("loss=0.5", "ordinal", 1),
        ("epoch 1/6 loss=2.150", "epoch", 1),
        ("Epoch: 4 - loss=2.150", "epoch", 4),
        ("step=120/500 loss=0.5", "step", 120),
        ("epoch 2 step 310: loss=0.5", "step", 310),
        ("iteration 10: loss = 0.5", "step", 10),
        (TUTORIAL.replace("Loss", "loss"), "epoch", 2.5),
        ("Train Epoch: 1 [30000/60000 (50%)]\tloss=2.30", "epoch", 1.5),
        ("loss: 2.303494  [   64/60000]", "step", 64),
        (LIGHTNING.replace("train_", ""), "epoch", 3.5),
        ("{'loss': 0.52, 'learning_rate': 4e-05, 'epoch': 1.25}", "epoch", 1.25),
        ("{'loss': '0.52', 'learning_rate': '4e-05', 'epoch': '1.25'}", "epoch", 1.25),
        ('{"checkpoint_path":"","global_step":"7","loss":"0.3","trial":"0"}', "step", 7),
        ('{"epoch": 1, "trainer/global_step": 30, "loss": 0.5}', "step", 30),
    ],
)
def test_a_line_tells_where_it_is(line: str, axis: str, step: float) -> None:
    """At a step before an epoch, and between two epochs where it says how far the epoch is."""
    assert found(line)["loss"][0][:2] == (axis, step)


def test_without_a_step_values_are_counted() -> None:
    assert found("loss=3", "acc=0.1", "loss=2") == {
        "loss": [("ordinal", 1, 3), ("ordinal", 2, 2)],
        "acc": [("ordinal", 1, 0.1)],
    }


def test_a_redrawn_bar_gives_one_value_a_step() -> None:
    """The last one: a bar moves on before it is given the value of the new step."""
    once = [("epoch", 0, 1), ("epoch", 0.25, 0.5), ("epoch", 0.5, 0.5)]

    assert found(REDRAWN)["loss"] == once
    assert found("epoch 0 loss=7", REDRAWN)["loss"] == [("epoch", 0, 7), *once]


def test_a_bar_of_hours_is_read() -> None:
    """It is one line until the epoch ends, however often it is redrawn."""
    line = "".join(
        f"\r {n // 100}%|##   | {n}/9999 [00:01<00:02, 9it/s, loss={n}]" for n in range(9999)
    )
    assert len(line) > LONGEST_LINE

    assert [point[1:] for point in found(line)["loss"]] == [(n, n) for n in range(9999)]
    assert progress(line) == Progress(9998, 9999, 9998 / 9999, "", 2)


def test_a_bar_that_starts_anew_counts_on() -> None:
    """Else the second epoch would be drawn over the first one."""
    bars = [f" {n}0%|##        | {n}/10 [00:01<00:02, 9it/s, loss={n}]" for n in (5, 9, 5, 9)]

    assert [step for _, step, _ in found(*bars)["loss"]] == [5, 9, 14, 18]


def test_what_is_not_finite_is_told_and_not_drawn() -> None:
    """A loss that has become NaN is what somebody looks for."""
    lines = ("loss=1", "loss=nan", "loss=-inf", '{"loss": NaN}', "{'loss': inf}", '{"loss": 1e999}')
    (series,) = collected(*lines).series

    assert [str(point.value) for point in series.points] == ["1.0", "nan", "-inf", "nan"] + [
        "inf"
    ] * 2
    assert series.finite == [(1, 1)]


def test_replicas_have_series_of_their_own() -> None:
    collector = Collector()
    for replica in ("master-0", "worker-0"):
        collector.take(replica, "loss=1")

    assert [series.replica for series in collector.series] == ["master-0", "worker-0"]


# -- strangers' text -----------------------------------------------------------------------------

PIECES = [
    *("loss", "=", ":", " ", "0.5", "nan", "1e999", "9" * 400, "{", "}", "[", "]", "(", ")", "'"),
    *('"', ",", "/", "%|", "|", "epoch", "step", "progress", "of", "\r", "\x1b[", "3/10", "a@.-/"),
    *('{"a":', "0/0", "[00:01<00:02", "50%|##| 5/10 [00:01<99:99", "²", "\u0661"),
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=30).map("".join))
def test_no_line_is_too_strange(line: str) -> None:
    for series in collected(line, line).series:
        assert series.name.strip()
        assert all(math.isfinite(point.step) for point in series.points)
    if told := progress(line):
        assert 0 <= told.fraction <= 1


@pytest.mark.parametrize("unit", PIECES)
def test_long_lines_of_one_thing(unit: str) -> None:
    line = unit * (LONGEST_LINE // len(unit))
    for text in (line, f"{{{line}}}", f"loss={line}"):
        collected(text[:LONGEST_LINE])
        progress(text[:LONGEST_LINE])


def test_what_is_too_long_is_left_alone() -> None:
    """Nobody prints a loss behind a megabyte of something else."""
    assert found("loss=0.5" + " " * LONGEST_LINE) == {}


def test_counters_gone_wild_do_not_fill_the_memory() -> None:
    assert len(collected(*(f"x{n}=1" for n in range(MOST_SERIES + 5))).series) == MOST_SERIES


def repeats(pattern: Any) -> Iterator[tuple[Any, int]]:
    """Yield the repeats of a parsed pattern: their kind, and how often they may repeat."""
    for kind, what in pattern:
        if str(kind).endswith("REPEAT"):
            yield kind, int(what[1])
        for part in what if isinstance(what, tuple | list) else [what]:
            for inner in part if isinstance(part, list) else [part]:
                if isinstance(inner, _parser.SubPattern):
                    yield from repeats(inner)


PATTERNS = {name: value for name, value in vars(metrics).items() if isinstance(value, re.Pattern)}


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_never_go_back_far(name: str) -> None:
    """What may repeat without end is possessive, so a line costs time linear in its length."""
    for kind, most in repeats(_parser.parse(PATTERNS[name].pattern)):
        assert kind is _parser.POSSESSIVE_REPEAT or most <= 200


def test_a_pattern_that_goes_back_would_be_found() -> None:
    assert [most for _, most in repeats(_parser.parse("(?:a|(b*+c{1,7}))?(x+)"))][:3] == [
        1,
        int(_parser.MAXREPEAT),
        7,
    ]


# -- progress ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("epoch 3/10", Progress(3, 10, 0.3, "epoch")),
        ("epoch 3 of 10", Progress(3, 10, 0.3, "epoch")),
        (TUTORIAL, Progress(2, 5, 0.3, "epoch")),
        ("Epoch 3/10:  50%|█████     | 60/120 [00:05<00:05]", Progress(3, 10, 0.25, "epoch")),
        ("step=120/500", Progress(120, 500, 0.24, "step")),
        ("progress=0.4", Progress(0.4, 1, 0.4, "progress")),
        ("Progress: 40%", Progress(0.4, 1, 0.4, "progress")),
        ('{"progress": 0.4}', Progress(0.4, 1, 0.4, "progress")),
        ("[ 30/100]", Progress(30, 100, 0.3, "")),
        ("Train Epoch: 1 [15000/60000 (25%)]", Progress(15000, 60000, 0.25, "epoch 1")),
        (LIGHTNING, Progress(60, 120, 0.5, "Epoch 3", 3)),
        (REDRAWN, Progress(2, 4, 0.5, "Epoch 0", 0)),
        ("  0%|          | 0/3 [00:00<?, ?it/s]", Progress(0, 3, 0, "")),
        (" 50%|##1| 5.0k/10.0k [1:00:05<1:00:05, 9MB/s]", Progress(5e3, 1e4, 0.5, "", 3605)),
        (f"{LIGHTNING}\rdone", Progress(60, 120, 0.5, "Epoch 3", 3)),
    ],
)
def test_progress_is_found(line: str, told: Progress) -> None:
    """In words, in bars, and in both: the epochs count, and the bar of the one that runs."""
    assert progress(line) == told


@pytest.mark.parametrize(
    "line",
    [
        *("", "loss=0.5", "2024/01/02", "[2024/01/02]", "3it [00:00, 97.67it/s]", "epoch 3"),
        *("[9/3]", "progress=7", "https://host/step/3/4", "1/2 cup", "[0/0]", "epoch 0/0"),
    ],
)
def test_what_is_no_progress(line: str) -> None:
    assert progress(line) is None


def at(fraction: float, label: str = "step", left: float | None = None) -> Progress:
    return Progress(fraction * 100, 100, fraction, label, left)


@pytest.mark.parametrize(
    ("history", "left"),
    [
        ([], None),
        ([(0, at(0.5))], None),
        ([(0, at(0.5)), (10, at(0.5))], None),
        ([(0, at(0.2)), (10, at(0.4))], 28),
        ([(0, at(0.9)), (1, at(1))], 0),
        ([(0, at(0.2)), (10, at(0.9999))], 0),
        ([(0, at(0.2)), (10, at(0.4, left=7))], 5),
        ([(-50, at(0.8)), (0, at(0.2)), (10, at(0.4))], 28),
        ([(-50, at(0.1, "epoch")), (0, at(0.2)), (10, at(0.4))], 28),
    ],
)
def test_the_time_left(history: list[tuple[float, Progress]], left: float | None) -> None:
    """Two seconds after the last line: as the bar says, or as fast as since it last began."""
    assert time_left(history, now=12) == (None if left is None else pytest.approx(left))


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1)), max_size=20))
def test_the_time_left_is_never_negative(heard: list[tuple[float, float]]) -> None:
    left = time_left([(when, at(fraction)) for when, fraction in heard], now=5e5)

    assert left is None or left >= 0


# -- the table -----------------------------------------------------------------------------------


def test_the_table_shows_how_each_metric_went() -> None:
    table = MetricTable(
        collected("epoch 1 loss=3 acc=0.1", "epoch 2 loss=nan", "epoch 3 loss=2").series
    )

    assert str(table).splitlines() == [
        "metric  replica   values  last  min  max  up to",
        "acc     master-0  1       0.1   0.1  0.1  epoch 1",
        "loss    master-0  3       2     2    3    epoch 3",
    ]
    assert "<th scope='row'>loss</th>" in table._repr_mimebundle_()["text/html"]
    assert str(MetricTable([])).startswith("no metrics in the logs")


def test_names_of_metrics_are_escaped() -> None:
    """They are text of strangers like all that comes from a log."""
    table = MetricTable(collected('{"<script>": 1, "\\u001b[2J": 2}').series)

    assert "<script>" not in table._repr_mimebundle_()["text/html"]
    assert "\x1b" not in str(table)


LOSSES = """
import os
for epoch in range(1, 4):
    print(f"epoch {epoch}/3 loss={1 / epoch:.3f} rank={os.environ['RANK']}")
print('{"accuracy": 0.9}')
"""


def test_the_metrics_of_a_job(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All replicas, as a DataFrame where pandas is installed, else as a table of the same."""
    local = connect()
    job = local.submit(local.build(LOSSES, name="measures", workers=1))
    job.wait(60)

    frame = job.metrics()
    monkeypatch.setitem(sys.modules, "pandas", None)
    table = job.metrics()

    assert isinstance(frame, pd.DataFrame)
    assert isinstance(table, MetricTable)
    assert frame.to_dict("list") == table.to_dict()
    assert [*frame.columns] == ["replica", "name", "axis", "step", "value"]
    for replica in ("master-0", "worker-0"):
        loss = frame[(frame["replica"] == replica) & (frame["name"] == "loss")]
        assert [*zip(loss["step"], loss["value"], strict=True)] == [(1, 1), (2, 0.5), (3, 0.333)]
    assert [*frame["name"].unique()] == ["accuracy", "loss"]
