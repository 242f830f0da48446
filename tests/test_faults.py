"""Connections that break, servers that lie: nothing is lost, nothing comes twice."""

from __future__ import annotations

import contextlib
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from pyjob_magic import errors
from pyjob_magic.client import Client
from pyjob_magic.connection import Connection
from pyjob_magic.informer import Informer, News
from pyjob_magic.job import Job
from pyjob_magic.local.home import Home
from pyjob_magic.local.launcher import Endpoint, ensure_running
from pyjob_magic.logs import Follower, LogLine
from pyjob_magic.models import PyTorchJob
from pyjob_magic.rest import Rest
from tests.faults import Fault, Kind, Proxy, Request, at_random
from tests.local.api import Api, a_job
from tests.state import eventually, temporary_home

CUTS = 1000


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with temporary_home() as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYJOB_MAGIC_BACKOFF_SECONDS", "0.2")
        patch.setenv("PYJOB_MAGIC_HOME", str(home))
        yield ensure_running(Home(home))


@pytest.fixture
def api(endpoint: Endpoint, request: pytest.FixtureRequest) -> Iterator[Api]:
    """Lend the embedded API as it is, without faults."""
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    with httpx.Client(base_url=endpoint.url, headers=headers, timeout=30) as http:
        api = Api.for_test(http, request.node.name)
        yield api
        api.clear()


@pytest.fixture
def proxy(endpoint: Endpoint) -> Iterator[Proxy]:
    proxy = Proxy(endpoint)
    yield proxy
    proxy.close()


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def client(proxy: Proxy, api: Api, notes: list[str]) -> Iterator[Client]:
    """Lend a client that has the proxy between itself and the API."""
    target = proxy.target(namespace=api.namespace, keeps_logs=True)
    client = Client(target, notify=notes.append)
    yield client
    client.close()


@pytest.fixture
def seed() -> int:
    """Return the seed of the dice; pytest shows it if the test fails."""
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)  # noqa: T201
    return seed


def once(fault: Fault, concerns: Callable[[Request], bool]) -> Callable[[Request], Fault | None]:
    """Return a rule by which the first request that it concerns goes wrong."""
    left = [fault]
    return lambda request: left.pop() if left and concerns(request) else None


def test_a_thousand_cuts_of_a_watch(client: Client, api: Api, proxy: Proxy, seed: int) -> None:
    """Every change is told once, in its order."""
    api.submit(a_job(suspend=True, container={"env": [{"name": "A", "value": "x" * 500}]}))
    told: queue.Queue[PyTorchJob] = queue.Queue()
    proxy.rule = at_random(
        seed,
        until=lambda: proxy.faults >= CUTS,
        concerns=lambda request: request.is_watch,
        most=8000,
    )
    end = client.watch_job(
        "j", lambda news, value: told.put(value) if news is News.CHANGED else None
    )
    eventually(lambda: not told.empty())
    changes = 0
    while proxy.faults < CUTS:
        changes += 1
        api.patch("j", {"metadata": {"labels": {"number": str(changes)}}})
        time.sleep(0.004)
    heard: list[int] = []
    while not heard or heard[-1] < changes:
        heard.append(int((told.get(timeout=20).metadata.labels or {}).get("number", 0)))
    end()

    labels = [number for number in heard if number]
    assert labels == list(range(1, changes + 1))


PRINTER = """
import os, sys, time
first = not os.path.exists("again")
open("again", "w").close()
n = 0 if first else 1000000
while not os.path.exists("{stop}/" + ("first" if first else "second")):
    n += 1
    if n % 7 == 0:
        sys.stdout.write("the same\\n" * 3)
    elif n % 11 == 0:
        sys.stdout.write("".join(str(i) + "%\\r" for i in range(0, 101, 20)) + "\\n")
    elif n % 13 == 0:
        sys.stdout.write("in two "); sys.stdout.flush(); time.sleep(0.002); print("pieces", n)
    else:
        print("line", n, "\\u00e9" * (n % 5))
    sys.stdout.flush()
    time.sleep(0.004)
print("no newline at the end", end="")
sys.exit(1 if first else 0)
"""


def test_a_thousand_cuts_of_logs(
    client: Client, api: Api, proxy: Proxy, seed: int, tmp_path: Path
) -> None:
    """Every line comes once, in its order, whichever others say the same, and of both runs."""
    api.submit(a_job(code=PRINTER.format(stop=str(tmp_path)), policy="OnFailure", workers=3))
    proxy.rule = at_random(
        seed,
        until=lambda: proxy.faults >= CUTS,
        concerns=lambda request: request.is_log,
        most=40_000,
    )
    replicas = ["master-0", "worker-0", "worker-1", "worker-2"]
    first_runs: dict[str, str] = {}

    def stop_in_time() -> None:
        eventually(lambda: proxy.faults >= CUTS // 2, timeout=100)
        (tmp_path / "first").touch()
        for replica in replicas:
            eventually(partial(restarts, api, replica))
            first_runs[replica] = api.log(f"j-{replica}", previous="true")
        eventually(lambda: proxy.faults >= CUTS, timeout=100)
        (tmp_path / "second").touch()

    stopper = threading.Thread(target=stop_in_time)
    stopper.start()
    try:
        follower = Follower(client, client.get_job("j"))
        lines = [*follower.lines(timeout=120)]
    finally:
        stopper.join()

    for replica in replicas:
        logs = [first_runs[replica], api.log(f"j-{replica}")]
        expected = [shown(line) for log in logs for line in log.split("\n")]
        assert len(expected) > 300
        assert [line.text for line in lines if line.replica == replica] == expected


def test_a_log_that_seems_to_be_empty(client: Client, api: Api, proxy: Proxy) -> None:
    """Answers that end before their first byte, one after the other, are not taken for its end."""
    api.submit(a_job(code="print('a\\nb', end='')"))
    api.wait("j", "Succeeded")
    faults = [Fault(Kind.END)] * 5
    proxy.rule = lambda request: faults.pop() if faults and request.is_log else None

    lines = Follower(client, client.get_job("j")).lines(timeout=60)

    assert [line.text for line in lines] == ["a", "b"]
    assert not faults


def test_a_log_that_seems_to_have_no_end(client: Client, api: Api, proxy: Proxy) -> None:
    """The same where its beginning was read."""
    code = (
        "import os, time\nprint('a', flush=True)\nwhile not os.path.exists('go'): time.sleep(.01)"
    )
    api.submit(a_job(code=f"{code}\nprint('b', end='')"))
    lines = Follower(client, client.get_job("j")).lines(timeout=60)
    assert next(lines).text == "a"
    faults = [Fault(Kind.END)] * 8
    proxy.rule = lambda request: faults.pop() if faults and request.is_log else None
    proxy.drop_connections()
    directory(api).joinpath("go").touch()

    assert [line.text for line in lines] == ["b"]
    assert not faults


BAR = """
import os, time
print("start", flush=True)
print("100 of 100\\r 10%|#", end="", flush=True)
while not os.path.exists("go"): time.sleep(.01)
print("\\r 20%|##", flush=True)
"""


def test_a_bar_is_seen_before_its_line_ends(client: Client, api: Api, proxy: Proxy) -> None:
    """As it looks, also after the connection was lost; once it is a line, it is told as one."""
    api.submit(a_job(code=BAR, workers=1))
    follower = Follower(client, client.get_job("j"))
    batches = follower.batches(timeout=60)
    lines = [line for _ in range(2) for line in next(batches)]
    both = {"master-0": " 10%|# 100", "worker-0": " 10%|# 100"}

    eventually(lambda: follower.partial() == both)
    asked: list[str] = []
    proxy.rule = lambda request: asked.append(request.path) if request.is_log else None
    proxy.drop_connections()
    eventually(lambda: len({*asked}) == 2 and follower.partial() == both)
    for replica in ("master-0", "worker-0"):
        directory(api, replica).joinpath("go").touch()
    lines += [line for batch in batches for line in batch]

    assert sorted(map(str, lines)) == [
        "[master-0]  20%|##100",
        "[master-0] start",
        "[worker-0]  20%|##100",
        "[worker-0] start",
    ]
    assert follower.partial() == {}


def test_a_job_that_the_watch_does_not_know_yet(client: Client, api: Api, proxy: Proxy) -> None:
    """A watch that is under way for others may tell of a new job late: it is not gone."""
    api.submit(a_job("other", suspend=True))
    told: list[News] = []
    asked: list[str] = []

    def rule(request: Request) -> Fault | None:
        asked.append(request.path)
        return Fault(Kind.STALL) if request.is_watch else None

    proxy.rule = rule
    end = client.watch_job("other", lambda news, _: told.append(news))
    eventually(lambda: News.SYNCED in told and proxy.faults)
    api.submit(a_job(code="print('ran')"))
    follower = Follower(client, client.get_job("j"))

    def go_on() -> None:
        eventually(lambda: asked.count(f"{api.jobs}/j") == 2)  # it looks for itself
        proxy.rule = lambda _: None
        proxy.drop_connections()

    going_on = threading.Thread(target=go_on)
    going_on.start()
    texts = [line.text for line in follower.lines(timeout=30)]
    going_on.join()
    end()

    assert texts == ["ran"]
    assert follower.job is not None
    assert follower.job.status.ended


@pytest.mark.parametrize("number", range(3))
def test_replicas_that_are_restarted_at_once(client: Client, api: Api, number: int) -> None:
    """Both of their runs are read once, the first one first."""
    code = "import os; n = len(os.listdir('.')); open(str(n), 'w'); print('run', n); exit(n == 0)"
    api.submit(a_job(code=code, policy="OnFailure", workers=3))

    lines = list(Follower(client, client.get_job("j")).lines(timeout=60))

    for replica in ("master-0", "worker-0", "worker-1", "worker-2"):
        texts = [line.text for line in lines if line.replica == replica]
        assert texts == ["run 0", "run 1"]


def test_a_silent_watch_is_given_up(client: Client, api: Api, proxy: Proxy) -> None:
    """As of a laptop that slept: nothing tells that the connection is gone."""
    api.submit(a_job(suspend=True))
    proxy.rule = once(Fault(Kind.STALL), lambda request: request.is_watch)
    rest = Rest(client.target)
    informer = Informer(
        rest,
        "PyTorchJobs",
        api.jobs,
        key=lambda wire: str(wire["metadata"]["name"]),
        query={},
        watching={},
        watch_seconds=1,
    )
    told: list[Any] = []
    informer.subscribe("j", lambda _, wire: told.append(wire))
    eventually(lambda: proxy.faults)

    api.patch("j", {"metadata": {"labels": {"a": "b"}}})

    eventually(lambda: told and told[-1] and told[-1]["metadata"].get("labels") == {"a": "b"})
    informer.close()
    rest.close()


@pytest.mark.parametrize("plural", ["pytorchjobs", "configmaps"])
def test_a_submit_without_an_answer_creates_one_job(
    client: Client, api: Api, proxy: Proxy, notes: list[str], plural: str
) -> None:
    """It is sent again, and what is there already is found to be ours."""
    proxy.rule = once(
        Fault(Kind.DROP), lambda r: r.method == "POST" and r.path.endswith(f"/{plural}")
    )
    connection = Connection(client)

    job = connection.submit(connection.build("# " + "x" * 200_000 + "\nprint('ran')", name="j"))

    assert proxy.counts[Kind.DROP] == 1
    assert [job.name for job in connection.list()] == ["j"]
    assert len(api.http.get(api.core("configmaps")).json()["items"]) == 1
    assert job.wait(30).state == "Succeeded"
    assert len(notes) == 1
    assert "trying again" in notes[0]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Kind.REFUSE, code=429, headers={"Retry-After": "0"}),
        Fault(Kind.REFUSE, code=503, headers={"Retry-After": "0"}),
        Fault(Kind.REFUSE, code=503),
        Fault(Kind.REFUSE, code=500),
        Fault(Kind.DROP),
        Fault(Kind.LIE),
        Fault(Kind.CLOSE, after=100),
        Fault(Kind.RESET, after=100),
    ],
    ids=lambda fault: f"{fault.kind.name} {fault.code if fault.kind is Kind.REFUSE else ''}",
)
def test_what_went_wrong_is_asked_for_again(
    client: Client, api: Api, proxy: Proxy, notes: list[str], fault: Fault
) -> None:
    """Whoever waits is told once."""
    api.submit(a_job(suspend=True))
    proxy.rule = once(fault, lambda _: True)

    assert client.get_job("j").name == "j"
    assert len(notes) == 1
    assert notes[0].endswith("; trying again")


def test_credentials_that_expire_are_renewed(client: Client, api: Api, proxy: Proxy) -> None:
    """Between two requests, and while a job is watched and its log followed."""
    code = (
        "import os, time\nprint('a', flush=True)\nwhile not os.path.exists('go'): time.sleep(.01)"
    )
    api.submit(a_job(code=f"{code}\nprint('b')"))
    lines = Follower(client, client.get_job("j")).lines(timeout=60)
    assert next(lines).text == "a"

    proxy.token = "the second token"
    proxy.drop_connections()
    directory(api).joinpath("go").touch()

    assert [line.text for line in lines] == ["b"]
    assert client.get_job("j").status.state == "Succeeded"


@pytest.mark.parametrize("code", [401, 403])
def test_logs_that_may_not_be_read_do_not_end_the_waiting(
    client: Client, api: Api, proxy: Proxy, code: int
) -> None:
    """It is said once; how the job has ended counts."""
    proxy.rule = lambda request: Fault(Kind.REFUSE, code=code) if request.is_log else None
    api.submit(a_job(code="print('secret')"))
    notes: list[str] = []
    job = Job(client, client.get_job("j"))

    # With `on_line` the logs are read also if the job has ended before.
    status = job.wait(30, on_line=lambda _: None, on_note=notes.append)

    assert status.state == "Succeeded"
    (note,) = notes
    assert note.startswith("logs of master-0 cannot be read: faulty refused to follow the log")


def test_pods_that_may_not_be_seen_do_not_end_the_waiting(
    client: Client, api: Api, proxy: Proxy
) -> None:
    """It is said once; that and how the job has failed is known all the same."""
    hidden = (api.core("pods"), api.core("events"))
    proxy.rule = lambda r: Fault(Kind.REFUSE, code=403) if r.path in hidden else None
    api.submit(a_job(code="import time; time.sleep(0.5); exit(3)"))
    notes: list[str] = []

    with pytest.raises(errors.JobFailedError, match=r"PyTorchJob 'j' failed: .*failed because"):
        Job(client, client.get_job("j")).wait(30, on_note=notes.append)

    assert {note.partition(" (403)")[0] for note in notes} == {
        "faulty refused to list pods",
        "faulty refused to list the pods of 'j'",
    }


def forgetting(api: Api) -> Callable[[Request], Fault | None]:
    """Return the rule of a cluster: of pods that are gone there are no logs."""

    def rule(request: Request) -> Fault | None:
        if not request.is_log or request.path.split("/")[-2] in api.pods():
            return None
        return Fault(Kind.REFUSE, code=404)

    return rule


class TestKeptLogs:
    """Where the cluster forgets logs with their pods."""

    @pytest.fixture
    def state(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("PYJOB_MAGIC_HOME", str(tmp_path))
        return tmp_path / "kept"

    @pytest.fixture
    def cluster(self, proxy: Proxy, api: Api, state: Path) -> Iterator[Client]:
        proxy.rule = forgetting(api)
        client = Client(replace(proxy.target(namespace=api.namespace), keeps_logs=False))
        yield client
        client.close()

    def test_what_was_seen_answers_when_the_pods_are_gone(
        self, cluster: Client, api: Api, state: Path, tmp_path: Path
    ) -> None:
        """Also for a kernel that has just been started; it says so, and up to when."""
        go = tmp_path / "go"
        code = f"print('so far', flush=True)\nimport os\nwhile not os.path.exists({str(go)!r}): 1"
        api.submit(a_job(code=f"{code}\nexit(7)", cleanPodPolicy="All"))
        with pytest.raises(errors.JobFailedError) as failed:
            Job(cluster, cluster.get_job("j")).wait(30, on_line=lambda _: go.touch())
        eventually(lambda: not api.pods())
        assert failed.value.log == "so far"

        with contextlib.closing(Client(cluster.target)) as another:
            job = Job(another, another.get_job("j"))
            log = job.logs("master-0")
            everything = job.logs()
            notes: list[str] = []
            followed = [str(line) for line in job.logs(follow=True, on_note=notes.append)]
        assert log == "so far\n"
        assert log.note.startswith("(master-0: pod is gone; this is what was seen while it ran")
        assert "[master-0] so far\n" in everything
        assert "[master-0] so far" in followed
        assert "pod is gone" in notes[0]
        for path in [state, *state.rglob("*")]:
            assert path.stat().st_mode & 0o077 == 0

    def test_two_followers_keep_it_once(self, cluster: Client, api: Api, state: Path) -> None:
        """The first one writes; one that comes later adds what is missing."""
        code = "import os, time\nfor n in range(200): print(n, flush=True); time.sleep(0.002)"
        api.submit(a_job(code=code))
        with contextlib.closing(Client(cluster.target)) as another:
            first = iter(Follower(cluster, cluster.get_job("j")).lines(timeout=60))
            next(first)
            list(Follower(another, another.get_job("j")).lines(timeout=60))
            del first  # before it has read all
        list(Follower(cluster, cluster.get_job("j")).lines(timeout=60))
        api.http.delete(f"{api.core('pods')}/j-master-0", params={"gracePeriodSeconds": 0})
        eventually(lambda: not api.pods())

        log = Job(cluster, cluster.get_job("j")).logs("master-0")

        assert log.splitlines() == [str(n) for n in range(200)]

    def test_reading_a_log_keeps_it(self, cluster: Client, api: Api, state: Path) -> None:
        api.submit(a_job(code="print('a\\nb')"))
        api.wait("j", "Succeeded")
        job = Job(cluster, cluster.get_job("j"))
        assert job.logs("master-0") == "a\nb\n"
        assert job.logs("master-0").note == ""
        api.http.delete(f"{api.core('pods')}/j-master-0", params={"gracePeriodSeconds": 0})
        eventually(lambda: not api.pods())

        assert job.logs("master-0") == "a\nb\n"
        assert job.logs("master-0", tail=1) == "b\n"

    def test_a_place_that_cannot_be_written_fails_nothing(
        self, cluster: Client, api: Api, state: Path
    ) -> None:
        """It is said once."""
        state.touch()
        api.submit(a_job(code="print('a')", workers=2))
        notes: list[str] = []

        lines: list[LogLine] = []
        Job(cluster, cluster.get_job("j")).wait(30, on_line=lines.append, on_note=notes.append)

        assert [line.text for line in lines] == ["a", "a", "a"]
        assert set(notes) == {f"logs are not kept in {state}: File exists"}


def directory(api: Api, replica: str = "master-0") -> Path:
    """Return where the replica runs."""
    uid = eventually(lambda: api.pods().get(f"j-{replica}"))["metadata"]["uid"]
    return Path(os.environ["PYJOB_MAGIC_HOME"], "pods", str(uid), "work")


def restarts(api: Api, replica: str) -> int:
    statuses = api.pod(f"j-{replica}")["status"].get("containerStatuses") or [{}]
    return int(statuses[0].get("restartCount", 0))


def shown(line: str) -> str:
    """Return what is shown of a line that returns to its start."""
    return line.rstrip("\r").rpartition("\r")[2]
