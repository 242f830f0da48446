"""What a notebook and a terminal show of a job that is gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyjob_magic._past import PastJob
from pyjob_magic._tables import HistoryTable
from pyjob_magic.diagnosis import Diagnosis
from pyjob_magic.manifest import Origin, build
from pyjob_magic.metrics import Point, Series
from pyjob_magic.options import JobOptions

EVIL = "<script>alert(1)</script>&\x1b[2J\u202e"


def a_past_job(**said: Any) -> PastJob:
    origin = Origin("2026-01-01T00:00:00Z", "abcde")
    options = JobOptions(name="train", env={"HF_TOKEN": "{HF_TOKEN}"})
    wire = build(options, "print(1)\n", origin, namespace="team-a").job.to_wire()
    known = PastJob(
        uid="u-1",
        name="train",
        namespace="team-a",
        target="kubernetes",
        context="my prod",
        place="kubernetes (my prod)",
        profile="",
        notebook="mnist",
        line="train --env HF_TOKEN={HF_TOKEN}",
        asked="1 Master",
        submitted="2026-01-01T00:00:00Z",
        started="2026-01-01T00:00:10Z",
        ended="2026-01-01T00:10:10Z",
        deleted="",
        state="Failed",
        summary="master-0 exited with code 1",
        source="print(1)\n",
        wire=wire,
        diagnosis=Diagnosis("master-0 exited with code 1", replica="master-0", traceback="Tr ..."),
        series=[Series("master-0", "loss", "step", [Point(1, 0.5), Point(2, 0.25)])],
        log={"master-0": [f"line {number}" for number in range(60)]},
    )
    return replace(known, **said)


def test_the_card_tells_all_that_is_kept() -> None:
    shown = a_past_job()._repr_mimebundle_()

    for fact in (
        "train",
        "Failed",
        "kubernetes (my prod) / team-a",
        "master-0 exited with code 1",
        "2026-01-01 00:00:00 UTC",
        "10 min",
        "%%pytorchjob train --env HF_TOKEN={HF_TOKEN}",
        "the values of HF_TOKEN, which are secret",
        "Tr ...",
        "line 59",
    ):
        assert fact in shown["text/plain"], fact
        assert fact in shown["text/html"], fact
    for part in ("<svg", "print(1)", "kind: PyTorchJob", "the last 40 of 60 lines"):
        assert part in shown["text/html"], part


def test_the_card_says_how_to_get_the_job_back() -> None:
    """With the place, as something else may be in use by now."""
    place = "train --on kubernetes --context 'my prod' -n team-a"

    assert f"%pytorchjob rerun {place}  " in str(a_past_job())
    assert f"%pytorchjob cell {place}  " in str(a_past_job())
    assert "%pytorchjob cell" not in str(a_past_job(source=None))


def test_what_nobody_has_seen_is_not_made_up() -> None:
    unknown = a_past_job(
        state="Unknown", started="", ended="", summary="", diagnosis=None, series=[], log={}
    )

    assert "how it ended is not known" in str(unknown)
    assert "duration" not in str(unknown)
    assert "<svg" not in unknown._repr_html_()
    assert "%pytorchjob logs" not in str(unknown)


def test_nothing_of_a_job_becomes_html_or_a_terminal_sequence() -> None:
    texts = dict.fromkeys(
        ("name", "namespace", "place", "target", "context", "notebook", "line", "asked"), EVIL
    )
    texts |= dict.fromkeys(("state", "summary", "profile", "uid", "source"), EVIL)
    evil = a_past_job(
        **texts,
        diagnosis=Diagnosis(EVIL, EVIL, EVIL, EVIL),
        series=[Series(EVIL, EVIL, "step", [Point(1, 1)])],
        log={EVIL: [EVIL]},
        wire={**a_past_job().wire, "kind": EVIL},
    )

    for shown in (evil._repr_mimebundle_(), HistoryTable([evil])._repr_mimebundle_()):
        assert "<script" not in shown["text/html"]
        for text in shown.values():
            assert "\x1b" not in text
            assert "\u202e" not in text


def test_the_table_says_what_was_asked_for_and_what_became_of_it() -> None:
    table = HistoryTable([a_past_job(), a_past_job(name="other", ended="", state="Unknown")])

    assert table.rows()[0] == (
        "2026-01-01 00:00",
        "train",
        "kubernetes (my prod) / team-a",
        "Failed",
        "10 min",
        "1 Master",
    )
    assert table.rows()[1][3:5] == ("Unknown", "")
    assert str(HistoryTable([])) == "no jobs were submitted from here, as far as the history goes"
