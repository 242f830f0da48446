"""Pure: from the lines of a log to named series and to how far the job has come.

A log is text of strangers: each line costs time in proportion to its length, whatever it holds.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Axis = Literal["step", "epoch", "ordinal"]

LONGEST_LINE = 100_000
"""Characters; what is longer was not printed to be read. A bar that is redrawn may be longer."""
MOST_SERIES = 2_000
"""Series of a job; names beyond that are counters gone wild."""


class Point(NamedTuple):
    """One value of a metric; `value` may be NaN or infinite, as training may be."""

    step: float
    value: float


@dataclass(frozen=True)
class Series:
    """The values of one metric of one replica, as they were printed.

    Parameters
    ----------
    replica
        Who printed them.
    name
        As printed; ``train/loss`` for a value inside an object of JSON.
    axis
        What `Point.step` counts: the steps or epochs of which the lines tell, or just the values.
    points
        The values, oldest first.
    """

    replica: str
    name: str
    axis: Axis
    points: list[Point] = field(default_factory=list)

    @property
    def finite(self) -> list[Point]:
        """What a chart can draw, and what can be compared."""
        return [point for point in self.points if math.isfinite(point.value)]


class Collector:
    """Takes lines as they come and sorts the values in them into series."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, Axis], Series] = {}
        self._laps: dict[str, _Lap] = {}  # by replica

    @property
    def series(self) -> list[Series]:
        """All series, in the order in which they were first heard of."""
        return [*self._series.values()]

    def take(self, replica: str, text: str) -> None:
        """Note the values in a line of a replica; in each state of a bar that was redrawn."""
        drawn: dict[tuple[str, _Place | int], float] = {}
        for number, state in enumerate(_states(text)):
            place, values = _reading(_bare(state))
            if isinstance(place, _Bar):
                place = self._laps.setdefault(replica, _Lap()).place(place)
            # Until a step has its own value, its bar shows that of the step before.
            drawn |= {(name, place or number): value for name, value in values.items()}
        for (name, where), value in drawn.items():
            self._note(replica, name, value, where if isinstance(where, _Place) else None)

    def _note(self, replica: str, name: str, value: float, place: _Place | None) -> None:
        key = (replica, name, place.axis if place else "ordinal")
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= MOST_SERIES:
                return
            series = self._series[key] = Series(*key)
        step = place.step if place else series.points[-1].step + 1 if series.points else 1
        series.points.append(Point(step, value))


class _Place(NamedTuple):
    """Where on its axis a line says that it is."""

    axis: Axis
    step: float


class _Count(NamedTuple):
    """``3/10``, or ``3`` of nobody knows how many."""

    done: float
    total: float | None

    @property
    def fraction(self) -> float | None:
        return self.done / self.total if self.total and self.done <= self.total else None


class _Bar(NamedTuple):
    """What a progress bar says."""

    done: float
    total: float
    label: str = ""
    left: float | None = None

    @property
    def fraction(self) -> float:
        return self.done / self.total


class _Lap:
    """Counts on where a bar starts anew, as one does in each epoch."""

    def __init__(self) -> None:
        self._before = self._last = 0.0

    def place(self, bar: _Bar) -> _Place:
        if bar.done < self._last:
            self._before += self._last
        self._last = bar.done
        return _Place("step", self._before + bar.done)


# -- one line ----------------------------------------------------------------------------------
# Possessive quantifiers and counted repeats: no text makes these look twice at the same place.

_ANSI = re.compile(r"\x1b\[[0-9;?]{0,40}+[A-Za-z]")
# ``Linear(in_features=8)`` describes an object; ``tensor(0.5)`` and ``np.float64(0.5)`` are values.
_CALL = re.compile(r"(?<=\w)(?<!tensor)(?<!float16)(?<!float32)(?<!float64)\([^()]*+\)")
_NAME = r"[^\W\d][\w./@-]{0,99}+"
_DIGITS = r"(?:[0-9]{1,30}+(?:\.[0-9]{0,30}+)?+|\.[0-9]{1,30}+)(?:[eE][+-]?[0-9]{1,4}+)?+"
_VALUE = rf"(?:tensor\(|np\.float[0-9]{{2}}\()?+([+-]?(?:{_DIGITS}|(?i:nan|inf(?:inity)?+)))"
_END = r"(?=(?:%|m?s)?(?:$|[\s;|)\]}'\"]|,(?![0-9])|[.:](?:\s|$)))"
_ASSIGNED = re.compile(rf"(?<![^\s,;:(\[{{|])({_NAME})\s*+(=|:(?=\s))\s*+{_VALUE}{_END}")
_QUOTED = re.compile(rf"['\"]({_NAME})['\"]\s*+:\s*+['\"]?{_VALUE}{_END}")
_PLAIN = re.compile(rf"\s*+{_VALUE}\s*+")

_STEPS = ("global_step", "step", "iteration", "iter")
_NUMBER = r"[0-9]{1,15}+(?:\.[0-9]{1,15}+)?+"
_COUNT = re.compile(
    rf"(?<![\w/.-])(global_step|step|iteration|iter|epoch)\b[\"']?[\s:=#\[]{{1,6}}+"
    rf"({_NUMBER})(?:\s{{0,9}}+(?:/|of)\s{{0,9}}+({_NUMBER}))?+(?![\w/])",
    re.IGNORECASE,
)
_SCALED = r"([0-9]{1,15}+(?:\.[0-9]{1,9}+)?+)([kMGTP]?)"
# Source: ``tqdm.format_meter``, tqdm 4.67; Lightning and the Hugging Face Trainer use it.
_BAR = re.compile(
    rf"[0-9]{{1,3}}+%\|[^|\n]{{0,500}}+\|\s{{0,20}}+{_SCALED}/{_SCALED}[^\s\[]{{0,20}}+"
    r"\s{0,9}+\[[0-9:]{1,20}+<([0-9:?]{1,20}+)"
)
_BRACKETED = re.compile(rf"\[\s{{0,20}}+({_NUMBER})\s{{0,9}}+/\s{{0,9}}+({_NUMBER})(?=[\s\]])")
_PROGRESS = re.compile(
    rf"(?<![\w/.-])progress[\"']?\s{{0,9}}+[:=]?\s{{0,9}}+[\"']?({_NUMBER})\s?(%?)(?![\w/.])",
    re.IGNORECASE,
)

_BEFORE = r"(?:^|[_./@-])"
# What ``name: value`` is taken for a metric: else each ``port: 80`` were one.
_KNOWN = re.compile(
    rf"{_BEFORE}(?:loss|acc|accuracy|precision|recall|perplexity|ppl|f1|auc|mse|mae|rmse|bleu|lr)$",
    re.IGNORECASE,
)
# Numbers that name something, or tell when and where.
_LABEL = re.compile(
    rf"{_BEFORE}(?:id|[gpu]id|tid|[gu]uid|sha|hash|digest|commit|rank|port|seed|version|trial|ts"
    r"|timestamp|date|lineno)$|^(?:line|process|thread|level|progress|time|v_num|world_size)$",
    re.IGNORECASE,
)
_UPPER = re.compile(r"_*+[A-Z][A-Z0-9_]*+")


def _states(text: str) -> list[str]:
    """Return what stood in a line, one after the other, as far as it was printed to be read."""
    return [state for state in text.split("\r") if len(state) <= LONGEST_LINE]


def _bare(text: str) -> str:
    return _ANSI.sub("", text) if "\x1b" in text else text


def _reading(text: str) -> tuple[_Place | _Bar | None, dict[str, float]]:
    """Return where on its axis a line says that it is, and its metrics."""
    for look in (_fields, _assigned):
        numbers = dict(look(text))
        values = {name: value for name, value in numbers.items() if _is_metric(name, value)}
        if values:
            return _own_place(numbers) or _place(text), values
    return None, {}


def _assigned(text: str) -> Iterator[tuple[str, float]]:
    """Yield the numbers that prose names."""
    if "=" not in text and ":" not in text:
        return
    for name, sign, number in _ASSIGNED.findall(_CALL.sub("", text) if "(" in text else text):
        if _axis(name) is None and (sign == "=" or _KNOWN.search(name)):
            yield name, float(number)


def _fields(text: str) -> Iterator[tuple[str, float]]:
    """Yield the numbers in an object of JSON, or in what Python prints of a dict."""
    if "{" not in text or not text.rstrip().endswith("}"):
        return
    try:
        value = json.loads(text[text.index("{") :])
    except (ValueError, RecursionError):
        for name, number in _QUOTED.findall(text):
            yield name, float(number)
    else:
        yield from _flat("", value, depth=8)


def _flat(name: str, value: Any, depth: int) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items() if depth else ():
            yield from _flat(f"{name}/{key}" if name else key, inner, depth - 1)
    elif isinstance(value, str):
        if len(value) < 100 and (found := _PLAIN.fullmatch(value)):
            yield name, float(found[1])
    elif isinstance(value, float | int) and not isinstance(value, bool):
        try:
            yield name, float(value)
        except OverflowError:
            yield name, math.copysign(math.inf, value)


def _is_metric(name: str, value: float) -> bool:
    """Whether a number is measured; places, labels and environment variables are not."""
    if not name or len(name) > 200 or _axis(name) or _LABEL.search(name):
        return False
    variable = _UPPER.fullmatch(name)
    # ``AUC=0.93`` is one, ``RANK=0`` and ``OMP_NUM_THREADS=1`` are not.
    return not variable or ("_" not in name and not value.is_integer())


def _axis(name: str) -> str | None:
    """Return the word for an axis if a name is one; also ``trainer/global_step``, ``_step``."""
    word = name.rpartition("/")[2].lstrip("_").lower()
    return word if word == "epoch" or word in _STEPS else None


def _own_place(numbers: Mapping[str, float]) -> _Place | None:
    """Return the place that an object tells beside its metrics."""
    told = {word: value for name, value in numbers.items() if (word := _axis(name))}
    told = {word: value for word, value in told.items() if math.isfinite(value)}
    for word in _STEPS:
        if word in told:
            return _Place("step", told[word])
    return _Place("epoch", told["epoch"]) if "epoch" in told else None


def _place(text: str) -> _Place | _Bar | None:
    counts, bar = _counts(text)
    epoch, step = counts.get("epoch"), _first_step(counts)
    if epoch is None:
        return _Place("step", step.done) if step else bar
    if step and step.fraction is None:
        return _Place("step", step.done)
    part = (step or bar or _Bar(0, 1)).fraction or 0
    return _Place("epoch", epoch.done + part)


def _counts(text: str) -> tuple[dict[str, _Count], _Bar | None]:
    """Return what a line counts by words (the last time it does), and its progress bar."""
    counts = {
        word.lower(): _Count(float(done), float(total) if total else None)
        for word, done, total in _COUNT.findall(text)
    }
    return counts, _bar(text) or _bracketed(_COUNT.sub("", text) if counts else text)


def _first_step(counts: Mapping[str, _Count]) -> _Count | None:
    return next((counts[word] for word in _STEPS if word in counts), None)


def _bar(text: str) -> _Bar | None:
    found = _BAR.search(text) if "%|" in text else None
    if found is None:
        return None
    done, done_unit, total, total_unit, left = found.groups()
    label = text[: found.start()].strip().removesuffix(":")[-60:]
    return _checked(
        _Bar(_scaled(done, done_unit), _scaled(total, total_unit), label, _seconds(left))
    )


def _bracketed(text: str) -> _Bar | None:
    found = _BRACKETED.search(text) if "[" in text else None
    return _checked(_Bar(float(found[1]), float(found[2]))) if found else None


def _checked(bar: _Bar) -> _Bar | None:
    return bar if 0 <= bar.done <= bar.total and bar.total else None


def _scaled(number: str, unit: str) -> float:
    return float(number) * float(1000 ** " kMGTP".index(unit or " "))


def _seconds(clock: str) -> float | None:
    """Return ``1:02:03`` in seconds; None for ``?``, which stands for a bar that knows not."""
    parts = clock.split(":")
    if not all(part.isdecimal() for part in parts):
        return None
    return float(sum(int(part) * 60**power for power, part in enumerate(reversed(parts[-3:]))))


# -- progress ----------------------------------------------------------------------------------


class Progress(NamedTuple):
    """How far a job says that it has come."""

    done: float
    total: float
    fraction: float
    """From 0 to 1; between two epochs also by the bar of the epoch."""
    label: str
    """What is counted: ``epoch``, ``step``, or what a bar is called."""
    left: float | None = None
    """Seconds that it says are left of what is counted."""


def progress(text: str) -> Progress | None:
    """Return how far a line says that the job has come; None if it does not say."""
    told = (_progress(_bare(state)) for state in reversed(_states(text)))
    return next(filter(None, told), None)


def _progress(text: str) -> Progress | None:
    if not ("/" in text or "%" in text or " of " in text or "rogress" in text):
        return None
    counts, bar = _counts(text)
    epoch, step = counts.get("epoch"), _first_step(counts)
    within = step.fraction if step and step.fraction is not None else bar.fraction if bar else None
    if epoch and epoch.total and epoch.fraction is not None:
        fraction = epoch.fraction
        if within is not None:
            fraction = max(0, (epoch.done - 1 + within) / epoch.total)
        return Progress(epoch.done, epoch.total, fraction, "epoch")
    label = f"epoch {epoch.done:g}" if epoch else ""
    if step and step.total and step.fraction is not None:
        return Progress(step.done, step.total, step.fraction, label or "step")
    if bar:
        return Progress(bar.done, bar.total, bar.fraction, bar.label or label, bar.left)
    if found := _PROGRESS.search(text):
        fraction = float(found[1]) / (100 if found[2] else 1)
        return Progress(fraction, 1, fraction, "progress") if fraction <= 1 else None
    return None


def time_left(history: Sequence[tuple[float, Progress]], now: float) -> float | None:
    """Return the seconds until all is done, as far as can be told; else None.

    Parameters
    ----------
    history
        What was heard of the progress and when, in seconds, oldest first.
    now
        The time on the same clock.
    """
    if not history:
        return None
    heard, last = history[-1]
    if last.left is not None:
        return max(0.0, last.left - (now - heard))
    if last.fraction >= 1:
        return 0.0
    start, first = _since_start(history)
    gained = last.fraction - first.fraction
    if gained <= 0 or heard <= start:
        return None
    return max(0.0, (1 - last.fraction) * (heard - start) / gained - (now - heard))


def _since_start(history: Sequence[tuple[float, Progress]]) -> tuple[float, Progress]:
    """Return the first item from which on the same has been counted, and never backwards."""
    first = history[-1]
    for item in reversed(history):
        other, one = item[1], first[1]
        if (other.label, other.total) != (one.label, one.total) or other.fraction > one.fraction:
            break
        first = item
    return first
