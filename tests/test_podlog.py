"""The log of a pod on a cluster whose parts know of a restart at different times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pyjob_magic.client import Client
from pyjob_magic.models import Pod
from pyjob_magic.podlog import PodLog, Run
from pyjob_magic.stamps import moment
from pyjob_magic.streams import Streams
from pyjob_magic.target import Target

RUNNING: dict[str, Any] = {"running": {}}
ENDED: dict[str, Any] = {"terminated": {"exitCode": 1}}
WAITING: dict[str, Any] = {"waiting": {"reason": "CrashLoopBackOff"}}
OWNER = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": "j", "uid": "ju"}
Step = Callable[["Node"], None]


class Node:
    """Serves a pod, as the API server knows it, and its logs, as the kubelet does.

    Parameters
    ----------
    steps
        What happens when a log has been sent, one after the other.
    """

    def __init__(self, *steps: Step) -> None:
        self.known: tuple[int, dict[str, Any]] = (0, RUNNING)
        """Restarts and state, as the status of the pod tells them."""
        self.runs: list[str] = [log(0, "a0", "b0")]
        """The log of each run; the kubelet takes the last one for the current."""
        self.asked: list[dict[str, str]] = []
        self.refusals: list[httpx.Response] = []
        self._steps = list(steps)

    def pod(self) -> dict[str, Any]:
        number, state = self.known
        last = {"terminated": {"exitCode": 1}} if number or state is WAITING else {}
        status = {"name": "pytorch", "restartCount": number, "state": state, "lastState": last}
        return {
            "metadata": {"name": "j-master-0", "uid": "u", "ownerReferences": [OWNER]},
            "spec": {"containers": []},
            "status": {"containerStatuses": [status]},
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/log"):
            return httpx.Response(200, json=self.pod())
        params = dict(request.url.params)
        self.asked.append(params)
        if self.refusals:
            return self.refusals.pop(0)
        waits = self.known[1] is WAITING
        text = self.runs[-2 if params.get("previous") and not waits else -1]
        lines = text.splitlines(keepends=True)
        if since := params.get("sinceTime"):
            lines = [line for line in lines if line[:19] >= since[:19]]
        if tail := params.get("tailLines"):
            lines = lines[-int(tail) :]
        if self._steps:
            self._steps.pop(0)(self)
        return httpx.Response(200, text="".join(lines))


def log(second: int, *lines: str) -> str:
    return "".join(f"2026-01-01T00:00:{second:02d}.{n:09d}Z {x}\n" for n, x in enumerate(lines))


def set_known(number: int, state: dict[str, Any]) -> Step:
    def step(node: Node) -> None:
        node.known = (number, state)

    return step


def restart(second: int, *lines: str) -> Step:
    return lambda node: node.runs.append(log(second, *lines))


def both(*steps: Step) -> Step:
    def step(node: Node) -> None:
        for each in steps:
            each(node)

    return step


def read(node: Node, tail: int | None = None) -> tuple[list[str], list[str]]:
    """Return the lines that are read until the pod has ended, and the notes."""
    client = Client(Target("k8s", "http://server", transport=httpx.MockTransport(node)))
    notes: list[str] = []
    streams = Streams(notes.append)
    pod = Pod.from_wire(node.pod())
    pod_log = PodLog(client, pod, streams, tail=tail, note=notes.append)
    lines = [line for batch in pod_log.read() for line in batch.lines]
    client.close()
    return lines, notes


def test_a_run_is_read_to_its_end() -> None:
    assert read(Node(set_known(0, ENDED))) == (["a0", "b0"], [])


def test_a_run_that_has_ended_and_the_next_one() -> None:
    node = Node(both(restart(5, "a1"), set_known(1, RUNNING)), *[lambda _: None] * 2)
    node._steps.append(set_known(1, ENDED))

    assert read(node) == (["a0", "b0", "a1"], [])


def test_a_pod_that_tells_of_a_restart_too_late() -> None:
    """The kubelet shows the second run while the pod is still in its first; all comes once."""
    node = Node(lambda _: None, set_known(1, RUNNING), *[lambda _: None] * 6)
    node.runs.append(log(5, "a1", "b1"))
    node._steps.append(set_known(1, ENDED))

    lines, notes = read(node)

    assert sorted(lines) == ["a0", "a1", "b0", "b1"]
    assert notes == []


def test_the_end_of_a_run_that_was_cut_off() -> None:
    """It is had as the log of the previous run."""

    def go_on(node: Node) -> None:
        node.runs = [log(0, "a0", "b0", "c0"), log(5, "a1")]
        node.known = (1, ENDED)

    assert read(Node(go_on)) == (["a0", "b0", "c0", "a1"], [])


def test_runs_that_nobody_could_read_are_told() -> None:
    def go_on(node: Node) -> None:
        node.runs += [log(1, "a1"), log(2, "a2"), log(3, "a3")]
        node.known = (3, ENDED)

    lost = "master-0 was restarted so soon that the log of {} is lost"
    assert read(Node(go_on)) == (["a2", "a3"], [lost.format("2 runs")])
    assert read(Node(lambda _: None, go_on)) == (["a0", "b0", "a2", "a3"], [lost.format("a run")])


def test_a_replica_that_waits_to_be_restarted() -> None:
    """Its last run counts; what the server calls the previous one is the same."""
    node = Node()
    node.runs, node.known = [log(0, "a0"), log(5, "a1")], (1, WAITING)

    assert read(node) == (["a1"], [])


@pytest.mark.parametrize(
    "refusal",
    [
        httpx.Response(400, json={"message": 'container "pytorch" is waiting to start: Creating'}),
        httpx.Response(500, json={"message": "dial tcp: i/o timeout"}),
        httpx.Response(429, json={"message": "slow down"}, headers={"Retry-After": "0"}),
    ],
    ids=["waiting", "500", "429"],
)
def test_what_passes_is_waited_for(refusal: httpx.Response) -> None:
    node = Node(set_known(0, ENDED))
    node.refusals = [refusal]

    assert read(node)[0] == ["a0", "b0"]


@pytest.mark.parametrize("code", [400, 401, 403])
def test_a_log_that_may_not_be_read_is_told(code: int) -> None:
    node = Node()
    node.refusals = [httpx.Response(code, json={"message": "not you"})]

    lines, (note,) = read(node)

    assert lines == []
    assert note.startswith("logs of master-0 cannot be read: k8s refused to follow the log")


def test_old_lines_are_not_asked_for_again() -> None:
    """Also where those that were left out share the time of those that came."""
    node = Node(lambda _: None, set_known(0, ENDED))
    node.runs = [log(0, "a", "b", "c").replace(".000000001", ".000000002")]

    assert read(node, tail=1) == (["c"], [])
    assert ["tailLines" in params for params in node.asked[:2]] == [True, False]


def test_lines_that_come_after_the_old_ones_are_all_read() -> None:
    """Also where the answer ends between two that share a time."""

    def say(line: str) -> Step:
        return lambda node: node.runs.__setitem__(0, node.runs[0] + log(7, line))

    node = Node(say("c"), say("d"), say("e"), set_known(0, ENDED))

    assert read(node, tail=1) == (["b0", "c", "d", "e"], [])


def test_an_answer_that_was_not_whole_is_noticed() -> None:
    """Also if it looked whole: the last line of a run that is over has to have come."""

    def shorten(node: Node) -> None:
        node.known = (0, ENDED)
        node.runs = [log(0, "a0", "b0", "c0") + "2026-01-01T00:00:09Z no newline"]

    assert read(Node(shorten)) == (["a0", "b0", "c0", "no newline"], [])


def test_what_was_asked_for_since() -> None:
    node = Node(lambda _: None, set_known(0, ENDED))
    read(node)

    assert [params.get("sinceTime") for params in node.asked[:2]] == [
        None,
        "2026-01-01T00:00:00.000000001Z",
    ]
    assert moment(node.asked[1]["sinceTime"]) % 1_000_000_000 == 1


@pytest.mark.parametrize(
    ("state", "last", "expected"),
    [
        (RUNNING, {}, Run(2, ended=False)),
        (ENDED, {}, Run(2, ended=True)),
        (WAITING, ENDED, Run(2, ended=True)),
        ({"waiting": {"reason": "ContainerCreating"}}, {}, None),
        ({}, {}, None),
    ],
)
def test_the_last_run_of_a_pod(state: Any, last: Any, expected: Run | None) -> None:
    status = {"name": "pytorch", "restartCount": 2, "state": state, "lastState": last}
    wire = {"spec": {"containers": []}, "status": {"containerStatuses": [status]}}

    assert Run.of(Pod.from_wire(wire)) == expected
