"""Pure: the parts of a card that are not tables of their own, as HTML and as text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from pyjob_magic import _states
from pyjob_magic._tables import EventTable, Rows, cut, duration, html_table, leaf
from pyjob_magic.metrics import Progress
from pyjob_magic.models import Event, Pod

LOG_LINES = 40
_LOG_CHARACTERS = 8_000
_LONG_LINE = 300
_EVENTS = 20
_YAML_CHARACTERS = 10_000
_TRACEBACK_CHARACTERS = 6_000
_MOST_REPLICAS = 16

REPLICA_HEAD = ("replica", "phase", "restarts", "exit code", "reason")


def replicas(pods: Sequence[Pod]) -> Rows:
    """Return how each replica fares; of many only those of which there is something to say."""
    if len(pods) <= _MOST_REPLICAS:
        return [_replica_row(pod) for pod in pods]
    troubled = [pod for pod in pods if _states.pod_tone(pod) == "bad"]
    troubled += [pod for pod in pods if _states.pod_tone(pod) == "waiting"]
    shown = troubled[:_MOST_REPLICAS]
    rows = [_replica_row(pod) for pod in shown]
    if len(troubled) > len(shown):
        rows.append((f"and {len(troubled) - len(shown)} more", "", "", "", ""))
    return rows


def replica_summary(pods: Sequence[Pod]) -> str:
    """Return how many replicas fare how, where they are too many to be shown; else nothing."""
    if len(pods) <= _MOST_REPLICAS:
        return ""
    counts = Counter(_states.phase(pod) for pod in pods)
    told = ", ".join(f"{count} {phase}" for phase, count in counts.most_common(8))
    return f"{len(pods)} replicas: {told}"


def _replica_row(pod: Pod) -> tuple[str, ...]:
    container = pod.main_container
    code = _states.exit_code(pod)
    return (
        cut(pod.replica, 80),
        cut(pod.status.phase or "", 40),
        str(container.restart_count) if container else "",
        "" if code is None else str(code),
        cut(_states.reason(pod), 80),
    )


def progress_text(progress: Progress) -> str:
    """Return how far a job has come: ``epoch 4 of 10, 40 %, about 2 min left``."""
    counted = ""
    if progress.total != 1:
        counted = f"{progress.label} {progress.done:.10g} of {progress.total:.10g}".strip()
    left = "" if progress.left is None else f"about {duration(progress.left)} left"
    return ", ".join(filter(None, [counted, f"{progress.fraction:.0%}", left]))


def progress_bar(progress: Progress) -> str:
    """Return the same with a bar."""
    text = leaf(progress_text(progress), 200)
    bar = f"<progress max='1' value='{progress.fraction:.4f}' aria-label='progress'></progress>"
    return f"<p class='pyjob-progress'>{bar} {text}</p>"


def traceback(head: str, text: str) -> str:
    """Return where a program failed; of what is too long the end, which says most."""
    short = text if len(text) <= _TRACEBACK_CHARACTERS else f"…{text[-_TRACEBACK_CHARACTERS:]}"
    return _end(leaf(head), _lines(short.splitlines()))


def log(lines: Sequence[tuple[str, str]], total: int) -> str:
    """Return the last lines of a log, as they stood on a terminal."""
    room, shown = _LOG_CHARACTERS, []
    for replica, text in reversed(lines[-LOG_LINES:]):
        line = f"<b>{leaf(replica, 80)}</b> {leaf(plain(text), _LONG_LINE)}"
        room -= len(line)
        if room < 0:
            break
        shown.append(line)
    head = f"Log: the last {len(shown)} of {total:,} lines" if total > len(shown) else "Log"
    return _end(head, "\n".join(reversed(shown)))


# Colours and movements, titles and links, and what else a terminal obeys.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]{0,40}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|[ -/]{0,4}[0-~])"
)


def plain(line: str) -> str:
    """Return a line of a log without what steers a terminal: of what was redrawn the last state."""
    states = line[-20_000:].rstrip("\r\n").split("\r")
    return _ESCAPES.sub("", states[-1]).expandtabs()


def events(said: Sequence[Event]) -> str:
    """Return what was said last, newest first."""
    newest = sorted(said, key=lambda event: event.time, reverse=True)
    rows = [tuple(cut(cell, 300) for cell in row) for row in EventTable(newest[:_EVENTS]).rows()]
    head = f"Events: the last {_EVENTS} of {len(said):,}" if len(said) > _EVENTS else "Events"
    return _folded(head, html_table(rows, EventTable.head))


def manifest(yaml: str) -> str:
    """Return the manifest, as far as there is room for it."""
    short = yaml[:_YAML_CHARACTERS]
    cut_off = "" if short == yaml else f"\n… {len(yaml) - len(short):,} more characters"
    return _folded("Manifest", f"<pre>{_lines(short.splitlines())}{cut_off}</pre>")


def code(source: str) -> str:
    """Return the code of a job, as far as there is room for it."""
    short = source[:_YAML_CHARACTERS]
    cut_off = "" if short == source else f"\n… {len(source) - len(short):,} more characters"
    return _folded("Code", f"<pre>{_lines(short.splitlines())}{cut_off}</pre>")


def _lines(lines: Sequence[str]) -> str:
    return "\n".join(leaf(line, 2_000) for line in lines)


def _folded(head: str, inner: str) -> str:
    """Return something to unfold; both are HTML."""
    return f"<details><summary>{head}</summary>{inner}</details>"


def _end(head: str, text: str) -> str:
    """Return the end of a text, unfolded, and as high as it is scrolled to its last line."""
    inner = f"<pre class='pyjob-end'><span>{text}</span></pre>"
    return f"<details open><summary>{head}</summary>{inner}</details>"
