"""What of a log is sent: whose, from where on, and with the times of its lines."""

from __future__ import annotations

import math
import re
import time
from datetime import datetime

import httpx
import psutil
import pytest

from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from tests.local.api import Api, a_job
from tests.state import eventually

LATE = 1.0  # seconds; a look at the logs is due every 0.2 s
EARLY = 0.02  # seconds; the clock of the file system ticks more slowly than ours
STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (.*)")

CLOCK = """
import time
for _ in range(4):
    print(time.time(), flush=True)
    time.sleep(0.3)
"""


def dated(text: str) -> list[tuple[float, str]]:
    """Return the time of each line and what it says; the year makes Python's fractions fit."""
    found = [STAMPED.fullmatch(line) for line in text.splitlines()]
    assert all(found), text
    return [
        (datetime.fromisoformat(match[1][:26] + "Z").timestamp(), match[2])
        for match in found
        if match
    ]


@pytest.fixture
def clock(api: Api) -> list[float]:
    """Run a job that has printed the time at several times; return them."""
    api.submit(a_job(code=CLOCK))
    api.wait("j", "Succeeded")
    return [float(line) for line in api.log("j-master-0").splitlines()]


def test_a_line_is_dated_when_it_was_printed(api: Api, clock: list[float]) -> None:
    for at, said in dated(api.log("j-master-0", timestamps="true")):
        assert -EARLY < at - float(said) < LATE


def test_times_do_not_change_the_lines(api: Api, clock: list[float]) -> None:
    lines = [line for _, line in dated(api.log("j-master-0", timestamps="true"))]
    assert lines == api.log("j-master-0").splitlines()


def test_since_a_time(api: Api, clock: list[float]) -> None:
    """Everything that was printed since then, and nothing that is dated before it."""
    middle = (clock[1] + clock[2]) / 2
    since = datetime.fromtimestamp(middle).astimezone().isoformat()
    stamped = dated(api.log("j-master-0", timestamps="true"))
    assert api.log("j-master-0", sinceTime=since).splitlines() == [
        said for at, said in stamped if at >= middle
    ]
    assert stamped[0][0] < middle


def test_since_some_seconds_ago(api: Api) -> None:
    code = "import time; print('old', flush=True); time.sleep(2.5); print('new', time.time())"
    api.submit(a_job(code=code))
    api.wait("j", "Succeeded")
    old, new = api.log("j-master-0").splitlines()
    seconds = math.ceil(time.time() - float(new.split()[1]) + 0.1)
    assert api.log("j-master-0", sinceSeconds=seconds) == f"{new}\n"
    assert api.log("j-master-0", sinceSeconds=3600) == f"{old}\n{new}\n"


def test_a_tail_of_what_came_since(api: Api, clock: list[float]) -> None:
    """The last lines, as far as they came since then."""
    since = datetime.fromtimestamp(clock[-1] - 0.1).astimezone().isoformat()
    newest = api.log("j-master-0", sinceTime=since)
    assert api.log("j-master-0", sinceTime=since, tailLines="4") == newest
    assert api.log("j-master-0", sinceSeconds="3600", tailLines="2").splitlines() == [
        str(said) for said in clock[-2:]
    ]


def test_nothing_came_since_a_time_to_come(api: Api, clock: list[float]) -> None:
    assert api.log("j-master-0", sinceTime="2999-01-01T00:00:00Z") == ""


def test_a_limit_counts_the_times(api: Api, clock: list[float]) -> None:
    whole = api.log("j-master-0", timestamps="true")
    assert api.log("j-master-0", timestamps="true", limitBytes="40") == whole[:40]


def test_followed_lines_are_dated_as_they_come(api: Api) -> None:
    """A line that comes in pieces is dated once."""
    code = (
        "import sys, time\n"
        "for piece in 'on', 'e\\ntw', 'o\\n':\n"
        "    sys.stdout.write(piece); sys.stdout.flush(); time.sleep(0.3)\n"
    )
    api.submit(a_job(code=code))
    eventually(lambda: api.pods().get("j-master-0", {}).get("status", {}).get("startTime"))
    begun = time.time()
    text = eventually(lambda: followed(api))
    assert [said for _, said in dated(text)] == ["one", "two"]
    assert all(begun - 10 < at < time.time() for at, _ in dated(text))


def test_a_line_has_the_same_time_whenever_it_is_read(api: Api) -> None:
    """Who follows a log and who reads it afterwards are told the same, to the nanosecond."""
    code = "import time\nfor n in range(300): print(n, flush=True); time.sleep(0.003)"
    api.submit(a_job(code=code))
    live = eventually(lambda: followed(api))
    api.wait("j", "Succeeded")
    assert len(live.splitlines()) == 300
    assert api.log("j-master-0", timestamps="true") == live


def followed(api: Api) -> str:
    """Return the log of a replica to its end; empty as long as it has not started."""
    params = {"follow": "true", "timestamps": "true"}
    response = api.http.get(f"{api.core('pods')}/j-master-0/log", params=params)
    return response.text if response.status_code == 200 else ""


def test_times_outlive_the_replica(api: Api) -> None:
    """The log of a pod that was removed is still dated line by line."""
    api.submit(a_job(code=f"{CLOCK}\nraise SystemExit(3)", cleanPodPolicy="All"))
    api.wait("j", "Failed")
    eventually(lambda: not api.pods("j"))
    for at, said in dated(api.log("j-master-0", timestamps="true")):
        assert -EARLY < at - float(said) < LATE


def test_what_came_while_no_api_ran_is_dated_at_its_end(own_home: Home) -> None:
    """Lines of before keep their times; those that nobody saw come have that of the last."""
    code = (
        "import os, time\n"
        "print('before', flush=True)\n"
        "while not os.path.exists('on'): time.sleep(0.01)\n"
        "print('first', flush=True); time.sleep(0.5); print('last', time.time(), flush=True)\n"
        "time.sleep(600)\n"
    )
    api = connected(own_home)
    api.submit(a_job(code=code))
    api.wait_log("j-master-0", "before")
    (run,) = own_home.pods.glob("*/container-0/0")
    eventually((run / "times").exists)
    running = launcher.status(own_home)
    assert running
    psutil.Process(running.pid).kill()
    (run.parents[1] / "work" / "on").touch()
    eventually(lambda: b"last" in (run / "log").read_bytes())
    api.http.close()

    api = connected(own_home)
    before, first, last = dated(api.log("j-master-0", timestamps="true"))
    printed = float(last[1].split()[1])
    assert before[0] < printed - 0.5
    assert first[0] == last[0]
    assert -EARLY < last[0] - printed < LATE
    api.http.close()


def test_the_previous_run_while_the_next_one_waits(api: Api) -> None:
    """In a crash loop the run that has just ended is the previous one, as with Kubernetes."""
    code = (
        "import os, sys; print('run', len(os.listdir('.'))); open(str(os.getpid()), 'w'); exit(1)"
    )
    api.submit(a_job(code=code, policy="OnFailure"))

    def waiting() -> int:
        status = api.pods().get("j-master-0", {}).get("status", {})
        (entry,) = status.get("containerStatuses") or [{"state": {}}]
        return entry["restartCount"] if "waiting" in entry["state"] else 0

    def previous() -> tuple[int, str] | None:
        before = waiting()
        log = api.log("j-master-0", previous="true") if before else ""
        return (before, log) if before and before == waiting() else None

    restarts, log = eventually(previous)
    assert log == f"run {restarts}\n"


def test_there_is_no_previous_run_of_one_that_never_restarted(api: Api) -> None:
    api.submit(a_job())
    api.wait("j", "Succeeded")
    response = api.http.get(f"{api.core('pods')}/j-master-0/log", params={"previous": "true"})
    assert response.status_code == 400
    assert response.json()["message"] == (
        'previous terminated container "pytorch" in pod "j-master-0" not found'
    )


@pytest.mark.parametrize(
    ("params", "causes"),
    [
        (
            {"tailLines": "-1"},
            [("tailLines", "Invalid value: -1: must be greater than or equal to 0")],
        ),
        ({"limitBytes": "0"}, [("limitBytes", "Invalid value: 0: must be greater than 0")]),
        ({"sinceSeconds": "0"}, [("sinceSeconds", "Invalid value: 0: must be greater than 0")]),
        (
            {"sinceSeconds": "-5", "sinceTime": "2026-01-01T00:00:00Z", "tailLines": "-2"},
            [
                ("tailLines", "Invalid value: -2: must be greater than or equal to 0"),
                (
                    "",
                    "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified",
                ),
            ],
        ),
        ({"stream": "Stderr"}, [("stream", "Forbidden: may not be specified")]),
    ],
)
def test_values_that_are_not_allowed(
    api: Api, params: dict[str, str], causes: list[tuple[str, str]]
) -> None:
    """They are invalid even before the pod is looked for."""
    response = api.http.get(f"{api.core('pods')}/missing/log", params=params)
    status = response.json()
    assert (response.status_code, status["reason"]) == (422, "Invalid")
    assert status["message"].startswith('PodLogOptions "missing" is invalid: ')
    assert status["details"]["kind"] == "PodLogOptions"
    assert [(c["field"], c["message"]) for c in status["details"]["causes"]] == causes


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tailLines", "many"),
        ("limitBytes", "1e3"),
        ("sinceSeconds", "9" * 19),
        ("sinceSeconds", "9" * 5000),
        ("sinceTime", "yesterday"),
        ("sinceTime", "2026-02-30T00:00:00Z"),
        ("sinceTime", "2026-01-01T00:00:00"),
        ("sinceTime", "2026-01-01"),
    ],
)
def test_values_that_cannot_be_read(api: Api, name: str, value: str) -> None:
    response = api.http.get(f"{api.core('pods')}/missing/log", params={name: value})
    assert (response.status_code, response.json()["reason"]) == (400, "BadRequest")


def test_what_changes_nothing_may_be_said(api: Api) -> None:
    api.submit(a_job(code="print('said')"))
    api.wait("j", "Succeeded")
    params = {"insecureSkipTLSVerifyBackend": "true", "stream": "All", "container": ""}
    assert api.log("j-master-0", **params) == "said\n"


def connected(home: Home) -> Api:
    """Return a client of an API that is started if none runs."""
    endpoint = launcher.ensure_running(home)
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    return Api(httpx.Client(base_url=endpoint.url, headers=headers, timeout=30), "default")


@pytest.mark.parametrize(
    ("tail", "text"), [(0, ""), (1, "c\n"), (2, "b\nc\n"), (3, "a\nb\nc\n"), (9, "a\nb\nc\n")]
)
def test_tail_lines(api: Api, tail: int, text: str) -> None:
    api.submit(a_job(code="print('a\\nb\\nc')"))
    api.wait("j", "Succeeded")
    assert api.log("j-master-0", tailLines=tail) == text


def test_the_tail_of_a_long_log_without_a_last_newline(api: Api) -> None:
    api.submit(a_job(code="print('x' * 600000 + '\\n' + 'y' * 600000 + '\\nend', end='')"))
    api.wait("j", "Succeeded")
    assert api.log("j-master-0", tailLines=1) == "end"
    assert api.log("j-master-0", tailLines=2) == "y" * 600000 + "\nend"


def test_limit_bytes(api: Api) -> None:
    api.submit(a_job(code="print('0123456789')"))
    api.wait("j", "Succeeded")
    assert api.log("j-master-0", limitBytes=4) == "0123"
