"""The magics in a real shell, on the embedded API, with real processes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import CapturedIO, capture_output
from traitlets.config import Config

import pyjob_magic
from pyjob_magic import errors
from pyjob_magic.connection import Connection
from pyjob_magic.job import Job
from pyjob_magic.logs import LogLine
from tests.sources import HOSTILE, program
from tests.state import eventually

pytestmark = pytest.mark.usefixtures("home")

REPORT = "import hashlib, sys; print(hashlib.sha256(open(__file__, 'rb').read()).hexdigest())"


class Shell:
    """An IPython shell with the extension loaded, in a namespace of its own."""

    def __init__(self, ipython: InteractiveShell, namespace: str) -> None:
        self.ipython = ipython
        self.connection = pyjob_magic.connect(namespace=namespace)
        self.line(f"use local -n {namespace}")

    def cell(self, line: str, source: str = "print('ran')") -> CapturedIO:
        """Run ``%%pytorchjob LINE`` on `source`; raise what the cell raises."""
        with capture_output() as shown:
            self.ipython.run_cell_magic("pytorchjob", line, source)
        return shown

    def line(self, line: str) -> str:
        """Run ``%pytorchjob LINE`` and return what it prints or displays as text."""
        with capture_output() as shown:
            self.ipython.run_line_magic("pytorchjob", line)
        return shown.stdout + "".join(output.data["text/plain"] for output in shown.outputs)

    def names(self) -> list[str]:
        return [job.name for job in self.connection.list()]


@pytest.fixture(scope="module")
def ipython() -> Iterator[InteractiveShell]:
    """Lend the one shell of this process: what is displayed goes to it."""
    yield InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    InteractiveShell.clear_instance()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, also where this run was started to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def shell(request: pytest.FixtureRequest, ipython: InteractiveShell) -> Iterator[Shell]:
    """Lend a shell whose namespace is named after the test; end its jobs afterwards."""
    digest = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]
    pyjob_magic.load_ipython_extension(ipython)
    shell = Shell(ipython, f"test-{digest}")
    yield shell
    pyjob_magic.unload_ipython_extension(ipython)
    ipython.user_ns.clear()
    for job in shell.connection.list():
        job.delete()
    shell.connection.close()


def test_cell_shows_the_metadata_that_came_back(shell: Shell) -> None:
    """One card holds what the API returned, as text and as HTML."""
    shown = shell.cell("hello --workers 1")

    (card,) = shown.outputs
    job = shell.connection.get("hello")
    for value in ("hello", job.uid, job.manifest.metadata.creation_timestamp):
        assert str(value) in card.data["text/plain"]
        assert str(value) in card.data["text/html"]
    assert "1 Master + 1 Worker" in card.data["text/plain"]


def test_cell_returns_at_once(shell: Shell, tmp_path: Path) -> None:
    """Without --wait the cell does not wait for a job that cannot end yet."""
    go = tmp_path / "go"
    shell.cell("slow -o job", waiting_for(go))

    job: Job = shell.ipython.user_ns["job"]
    assert not job.status.ended
    go.touch()
    assert job.wait(20).state == "Succeeded"


def test_waiting_cell_ends_with_the_job(shell: Shell) -> None:
    """With --wait the card shows the end, and the program's output is in the log."""
    shown = shell.cell("hello --workers 2 --wait", "import os; print('rank', os.environ['RANK'])")

    assert "hello: Succeeded" in shown.outputs[-1].data["text/plain"]
    assert shell.line("logs hello --replica master-0") == "rank 0\n"
    assert sorted(shell.line("logs hello").splitlines()) == [
        "[master-0] rank 0",
        "[worker-0] rank 1",
        "[worker-1] rank 2",
    ]


def test_waiting_cell_fails_with_the_job(shell: Shell) -> None:
    """The error names the replica that failed and the line of the cell, and ends with why."""
    source = (
        "import os, time\n"
        "if os.environ['RANK'] == '2':\n"
        "    raise ValueError('no such file')\n"
        "time.sleep(60)\n"
    )

    with pytest.raises(errors.JobFailedError) as failed:
        shell.cell("broken --workers 2 --wait", source)

    assert str(failed.value) == (
        "PyTorchJob 'broken' failed: worker-1 exited with code 1: ValueError: no such file "
        "(line 4 of the cell: raise ValueError('no such file'))"
    )
    assert failed.value.cell_line == 4  # people count the line of the magic
    shown = "\n".join(failed.value._render_traceback_())
    assert "Traceback of worker-1:" in shown
    assert 'main.py", line 3, in <module>' in shown
    assert shown.endswith("ValueError: no such file")


def test_following_cell_prints_every_line_once(shell: Shell) -> None:
    """--follow shows what all replicas print, until they have ended."""
    source = "import os\nfor i in range(500): print('line', i, 'of', os.environ['RANK'])"

    shown = shell.cell("talk --workers 1 --follow", source)

    lines = shown.stdout.splitlines()
    for rank, replica in enumerate(("master-0", "worker-0")):
        own = [line for line in lines if line.startswith(f"[{replica}]")]
        assert own == [f"[{replica}] line {i} of {rank}" for i in range(500)]


@pytest.mark.usefixtures("interruptible")
def test_interrupt_stops_the_waiting_not_the_job(shell: Shell, tmp_path: Path) -> None:
    """The error says that the job goes on, and how to wait again; it does go on."""
    go, started = tmp_path / "go", tmp_path / "started"
    source = f"open({str(started)!r}, 'w').close()\n{waiting_for(go)}"
    interrupter = threading.Thread(target=lambda: interrupt_when(started.exists))
    interrupter.start()

    with pytest.raises(errors.DetachedError, match=r"'long', which goes on; %pytorchjob wait long"):
        shell.cell("long --wait", source)

    interrupter.join()
    go.touch()
    assert shell.connection.get("long").wait(20).state == "Succeeded"


@pytest.mark.parametrize(
    "options",
    ["--clean-pods All", "--restart-policy OnFailure --backoff-limit 1", "--timeout 2s"],
)
def test_failure_is_told_also_where_the_replicas_are_gone(shell: Shell, options: str) -> None:
    """What was read while waiting outlives replicas that the operator deletes."""
    source = "import time\nprint('so far', flush=True)\n"
    source += "time.sleep(60)" if "timeout" in options else "raise SystemExit(7)"

    with pytest.raises(errors.JobFailedError) as failed:
        shell.cell(f"gone --wait {options}", source)

    if "timeout" in options:
        assert "was active longer than specified deadline" in failed.value.reason
        assert "had not ended after 2 s and was stopped; give it more" in str(failed.value)
    else:
        assert "failed: master-0 exited with code 7" in str(failed.value)
        assert set(failed.value.log.splitlines()) == {"so far"}  # of one run or of two


def test_waiting_tells_why_a_job_cannot_run(shell: Shell) -> None:
    """A terminal prints what is new; the error at the deadline says what was in the way."""
    with capture_output() as shown, pytest.raises(errors.JobFailedError) as failed:
        shell.ipython.run_cell_magic("pytorchjob", "big --memory 900Ti --timeout 2s --wait", "1")

    why = "master-0 can never run on this machine: not enough free memory: the job asks for"
    assert why in shown.stdout
    assert f"had not ended after 2 s and was stopped; before that {why}" in str(failed.value)
    assert str(failed.value).endswith("ask for less with --memory")


def test_a_worker_that_fails_after_the_master_is_told(shell: Shell) -> None:
    """The job counts as succeeded, as upstream has it; the card says what happened."""
    # The Worker ends when the Master is over: it loses its connection.
    source = (
        "import os, socket\n"
        "master = socket.socket()\n"
        "if os.environ['RANK'] == '0':\n"
        "    master.bind(('127.0.0.1', int(os.environ['MASTER_PORT'])))\n"
        "    master.listen()\n"
        "    worker, _ = master.accept()\n"
        "    raise SystemExit(0)\n"
        "while master.connect_ex(('127.0.0.1', int(os.environ['MASTER_PORT']))): pass\n"
        "master.recv(1)\n"
        "import time; time.sleep(1)\n"
        "raise SystemExit(5)"
    )
    shell.cell("late --workers 1 -o job", source)
    job: Job = shell.ipython.user_ns["job"]
    assert job.wait(20).state == "Succeeded"

    card = shell.line("show late")
    assert "worker-0 exited with code 5; the job succeeds with its Master" in card


@pytest.mark.usefixtures("interruptible")
def test_interrupted_following_leaves_the_last_state(shell: Shell, tmp_path: Path) -> None:
    """The card of a cell that stops following says Running, not what it said at first."""
    started = tmp_path / "started"
    source = f"open({str(started)!r}, 'w').close()\n{waiting_for(tmp_path / 'never')}"
    interrupter = threading.Thread(target=lambda: interrupt_when(started.exists))
    interrupter.start()

    with capture_output() as shown, pytest.raises(errors.DetachedError):
        shell.ipython.run_cell_magic("pytorchjob", "long --follow", source)

    interrupter.join()
    assert "long: Running" in shown.outputs[-1].data["text/plain"]


@pytest.mark.parametrize(
    ("line", "source", "message"),
    [
        ("--wrkers 2", "x = 1", "OptionError: --wrkers: no such option (did you mean --workers?)"),
        ("--memory 4GB", "x = 1", "OptionError: --memory: '4GB' is not an amount: write 4Gi"),
        ("--workers -1", "x = 1", "OptionError: --workers: -1 is out of range"),
        ("Mnist", "x = 1", "OptionError: NAME: 'Mnist' is not a job name"),
        ("--env RANK=1", "x = 1", "OptionError: --env: RANK is set by the training operator"),
        (
            "--on cci",
            "x = 1",
            "OptionError: --on: cci: no region is said; set HUAWEICLOUD_SDK_REGION",
        ),
        ("--suspend --wait", "x = 1", "OptionError: --suspend: a suspended job never ends"),
        ("-- {'x' * 200_000}", "x = 1", "OptionError: --: argument 1 has 200,000 bytes"),
        ("--env A={'x' * 200_000}", "x = 1", "OptionError: --env: A has 200,002 bytes"),
        (
            "--on moon",
            "x = 1",
            "OptionError: --on: there is no target 'moon'; known: local, kubernetes, cci",
        ),
        ("--from no.yaml", "x = 1", "OptionError: --from: cannot read 'no.yaml'"),
        ("--save /no/dir/f.yaml", "x = 1", "OptionError: --save: cannot write"),
        ("--image {nothing}", "x = 1", "OptionError: {nothing}: NameError"),
        ("", "import os\n!pip install x", "SourceError: line 3 of the cell is IPython syntax"),
        ("", " \n", "SourceError: the cell is empty"),
    ],
)
def test_wrong_input_is_one_line_and_submits_nothing(
    shell: Shell, line: str, source: str, message: str
) -> None:
    """The line names the option or the line of the cell as the editor counts it."""
    with pytest.raises(errors.PyJobError) as refused:
        shell.cell(line, source)

    (shown,) = refused.value._render_traceback_()
    assert shown.startswith(message)
    assert shell.names() == []


def test_a_name_is_taken_once(shell: Shell) -> None:
    """The second job of a name is refused, the first stays as it is."""
    shell.cell("twice")
    first = shell.connection.get("twice")

    with pytest.raises(errors.ExistsError, match="already exists"):
        shell.cell("twice", "print('another')")

    assert first.source() == "print('ran')"


def test_line_takes_values_and_the_cell_takes_none(shell: Shell) -> None:
    """`{var}` in the line is filled in; braces and dollars in the cell are the program's."""
    shell.ipython.user_ns.update(count=1, text="two words", name="wrong")
    source = "import os, sys\nname = 'right'\nprint(f'{name} $name', os.environ['T'], sys.argv[1])"

    shell.cell("fill --workers {count} --env T={text} --wait -- {text}", source)

    assert shell.line("logs fill --replica worker-0") == "right $name two words two words\n"


def test_dry_run_prints_what_would_be_sent(shell: Shell, tmp_path: Path) -> None:
    """The preview, the saved file and what submit stores are one object; nothing is submitted."""
    file = tmp_path / "job.yaml"
    shown = shell.cell(f"pre --workers 1 --cpu 1 --save {file} --dry-run -o manifest")

    (preview,) = shown.outputs
    printed = yaml.safe_load(preview.data["text/plain"])
    assert printed == yaml.safe_load(file.read_text())
    assert shell.names() == []
    shell.connection.submit(shell.ipython.user_ns["manifest"])
    stored = shell.connection.get("pre").manifest.to_wire()
    assert stored["spec"]["pytorchReplicaSpecs"] == printed["spec"]["pytorchReplicaSpecs"]


def test_server_dry_run_lets_the_api_check(shell: Shell) -> None:
    """What the API would store is shown, with its uid; nothing is stored."""
    shown = shell.cell("pre --dry-run=server")

    assert "uid" in yaml.safe_load(shown.outputs[0].data["text/plain"])["metadata"]
    assert shell.names() == []


def test_queued_job_does_not_wait_for_a_kueue_that_is_not_there(
    shell: Shell, tmp_path: Path
) -> None:
    """It is admitted at once, and the card says so; what is suspended later stays suspended."""
    go = tmp_path / "go"
    shell.cell("queued --queue team-a -o job", waiting_for(go))
    job: Job = shell.ipython.user_ns["job"]
    eventually(lambda: job.state == "Running")
    assert 'there is no Kueue here: jobs of queue "team-a" are admitted' in shell.line(
        "show queued"
    )

    shell.line("suspend queued")

    eventually(lambda: job.state == "Suspended" and not job.replicas())
    shell.line("resume queued")
    go.touch()
    assert job.wait(20).state == "Succeeded"


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_saved_manifest_is_a_start(shell: Shell, tmp_path: Path, suffix: str) -> None:
    """--from takes what --save wrote; what the line says replaces, the rest stays."""
    file = tmp_path / f"job.{suffix}"
    shell.cell(f"first --workers 1 --env KEPT=yes --cpu 1 --save {file} --dry-run -- --n 3")
    source = "import os, sys; print(os.environ['KEPT'], *sys.argv[1:])"

    shell.cell(f"second --from {file} --workers 2 --wait", source)

    job = shell.connection.get("second")
    assert job.manifest.spec.replicas == 3
    assert shell.line("logs second --replica worker-1") == "yes --n 3\n"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_source_runs_as_typed(shell: Shell, text: str) -> None:
    """From the cell through manifest, API and process: the same bytes."""
    source = program(text) + REPORT

    shell.cell("exact --wait", source)

    digest = hashlib.sha256(source.encode()).hexdigest()
    assert shell.line("logs exact").splitlines() == ["[master-0] ran", f"[master-0] {digest}"]
    assert shell.connection.get("exact").source() == source


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=2000))
def test_any_source_runs_as_typed(shell: Shell, text: str) -> None:
    """Whatever a cell contains, the program that runs is that text in UTF-8."""
    source = program(text) + REPORT

    shell.cell("any --wait", source)

    printed = shell.line("logs any --replica master-0")
    shell.line("delete any")
    assert printed == f"ran\n{hashlib.sha256(source.encode()).hexdigest()}\n"


def test_large_source_travels_in_a_config_map_that_goes_with_the_job(shell: Shell) -> None:
    """700 KB arrive on every replica, and nothing of them stays."""
    source = f"# {'é$(RANK)' * 80_000}\n{REPORT}"
    assert len(source.encode()) > 700_000

    shell.cell("large --workers 1 --wait", source)

    digest = hashlib.sha256(source.encode()).hexdigest()
    job = shell.connection.get("large")
    assert sorted(shell.line("logs large").splitlines()) == [
        f"[master-0] {digest}",
        f"[worker-0] {digest}",
    ]
    assert job.source() == source
    volumes = job.manifest.to_wire()["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
    name = next(v["configMap"]["name"] for v in volumes["volumes"] if "configMap" in v)
    config_map = shell.connection.client.get_config_map(name)
    assert [owner.uid for owner in config_map.metadata.owner_references or []] == [job.uid]
    client = shell.connection.client
    path = f"/api/v1/namespaces/{client.namespace}/configmaps/{name}"
    kind = {"Content-Type": "application/merge-patch+json"}
    client._rest.send("empty it", "PATCH", path, content='{"data": null}', headers=kind)
    with pytest.raises(errors.ManifestError, match="'large' has lost the ConfigMap of its code"):
        job.source()
    job.delete()
    eventually(lambda: gone(shell.connection, name))


def test_source_that_is_too_large_is_refused_with_its_size(shell: Shell) -> None:
    """Nothing is submitted that would die on the way."""
    with pytest.raises(errors.SourceError, match=r"has 1,100,005 bytes, but at most 1,048,576"):
        shell.cell("huge", "#" * 1_100_000 + "\npass")

    assert shell.names() == []


class TestVerbs:
    """`%pytorchjob VERB`."""

    def test_overview_counts_and_explains(self, shell: Shell) -> None:
        shell.cell("one --wait")

        shown = shell.line("")

        assert f"Target local, namespace {shell.connection.namespace}: 1 Succeeded." in shown
        assert shell.line("help") == shell.line("--help") == shown
        assert shell.line("logs --help").startswith("%pytorchjob logs NAME [--replica worker-1]")
        assert "%pytorchjob logs NAME [--replica worker-1] [--tail N] [--follow]" in shown

    def test_list_and_show(self, shell: Shell) -> None:
        shell.cell("one --workers 2 --wait")

        assert "one   Succeeded  1 Master + 2 Workers" in shell.line("list")
        card = shell.line("show one")
        assert "master-0  Succeeded  0         0          Completed" in card
        assert "local runs use this machine's Python" not in card

    def test_an_image_that_is_not_used_is_named(self, shell: Shell) -> None:
        shell.cell("one --image example/own:1 --wait")

        assert "not image example/own:1" in shell.line("show one")

    def test_logs_take_tail_and_replica(self, shell: Shell) -> None:
        shell.cell("one --wait", "for i in range(9): print(i)")

        assert shell.line("logs one --replica master-0 --tail 2") == "7\n8\n"
        assert shell.line("logs one --follow --replica master-0 --tail 1") == "8\n"
        with pytest.raises(errors.OptionError, match=r"--replica: .* has no 'worker-7'; it has m"):
            shell.line("logs one --replica worker-7")

    def test_events_tell_the_story(self, shell: Shell) -> None:
        shell.cell("one --wait")

        assert "SuccessfulCreatePod" in shell.line("events one")
        assert "PyTorchJobSucceeded" in shell.line("events one")

    def test_wait_raises_what_happened(self, shell: Shell) -> None:
        shell.cell("one", "raise SystemExit(3)")

        with pytest.raises(errors.JobFailedError, match="master-0 exited with code 3"):
            shell.line("wait one")

    def test_wait_has_a_limit(self, shell: Shell, tmp_path: Path) -> None:
        shell.cell("one", waiting_for(tmp_path / "never"))

        with pytest.raises(errors.JobTimeoutError, match=r"has not ended after \d+ s .*goes on"):
            shell.line("wait one --timeout 1s")

    def test_wait_of_a_job_that_has_ended_returns_at_once(self, shell: Shell) -> None:
        shell.cell("one --wait -o job")
        job: Job = shell.ipython.user_ns["job"]

        assert job.wait(timeout=0).state == "Succeeded"

    def test_logs_of_a_replica_that_waits_to_be_restarted(self, shell: Shell) -> None:
        shell.cell("loop --restart-policy OnFailure", "print('tried')\nraise SystemExit(1)")
        job = shell.connection.get("loop")
        eventually(lambda: waits_for_restart(job))

        assert shell.line("logs loop --replica master-0") == "tried\n"

    def test_logs_of_replicas_that_were_removed(self, shell: Shell) -> None:
        source = (
            "import os, time\nprint('rank', os.environ['RANK'], flush=True)\n"
            "if os.environ['RANK'] == '1':\n    time.sleep(0.5)\n    raise SystemExit(1)\n"
            "time.sleep(60)"
        )
        with pytest.raises(errors.JobFailedError):
            shell.cell("gone --workers 1 --wait --clean-pods All", source)
        job = shell.connection.get("gone")
        eventually(lambda: not job.replicas())

        assert shell.line("logs gone") == "[master-0] rank 0\n[worker-0] rank 1\n"
        assert shell.line("logs gone --replica master-0") == "rank 0\n"
        assert sorted(shell.line("logs gone --follow").splitlines()) == [
            "[master-0] rank 0",
            "[worker-0] rank 1",
        ]
        with pytest.raises(errors.JobFailedError, match="worker-0 exited with code 1"):
            shell.line("wait gone")

    def test_events_are_those_of_this_job(self, shell: Shell) -> None:
        with pytest.raises(errors.JobFailedError):
            shell.cell("again --wait", "raise SystemExit(1)")
        shell.line("delete again")
        shell.cell("again --wait")

        assert "PyTorchJobFailed" not in shell.line("events again")
        assert "PyTorchJobSucceeded" in shell.line("events again")

    def test_suspend_and_resume(self, shell: Shell, tmp_path: Path) -> None:
        go = tmp_path / "go"
        shell.cell("one -o job", waiting_for(go))
        job: Job = shell.ipython.user_ns["job"]
        eventually(lambda: job.state == "Running")

        shell.line("suspend one")

        eventually(lambda: job.state == "Suspended" and not job.replicas())
        shell.line("resume one")
        go.touch()
        assert job.wait(20).state == "Succeeded"

    def test_what_has_ended_is_neither_suspended_nor_resumed(self, shell: Shell) -> None:
        shell.cell("one --wait")

        with pytest.raises(errors.EndedError, match=r"has ended .Succeeded. and cannot be suspend"):
            shell.line("suspend one")
        with pytest.raises(errors.EndedError, match="cannot be resumed"):
            shell.line("resume one")

    def test_created_suspended_starts_when_resumed(self, shell: Shell) -> None:
        shell.cell("one --suspend -o job")
        job: Job = shell.ipython.user_ns["job"]
        eventually(lambda: job.state == "Suspended")
        assert job.replicas() == []

        shell.line("resume one")

        assert job.wait(20).state == "Succeeded"

    def test_rerun_submits_the_same_once_more(self, shell: Shell) -> None:
        """Also a job that failed; its number goes up."""
        source = "import os, sys\nprint(os.environ['A'], sys.argv[1:])\nraise SystemExit(3)"
        line = "train --workers 1 --clean-pods None --env A=b --cpu 1 --annotation who=me -- x '$y'"
        shell.cell(line, source)
        first = shell.connection.get("train")
        with pytest.raises(errors.JobFailedError):
            first.wait(20)

        assert "PyTorchJob train-2: " in shell.line("rerun train")
        shell.line("rerun train-2")
        shell.line("rerun train other")

        assert {*shell.names()} == {"train", "train-2", "train-3", "other"}
        for job in map(shell.connection.get, ("train-2", "train-3", "other")):
            with pytest.raises(errors.JobFailedError, match="exited with code 3"):
                job.wait(20)
            master = partial(job.logs, "master-0")  # the worker may have been the first to fail
            assert eventually(master) == "b ['x', '$y']\n"
            assert job.source() == source
            assert job.uid != first.uid
            assert specs(job) == specs(first)
            said, before = (j.manifest.metadata.annotations or {} for j in (job, first))
            changed = {key for key in said | before if said.get(key) != before.get(key)}
            assert "pyjob-magic/submission" in changed
            assert changed <= {"pyjob-magic/submission", "pyjob-magic/submitted"}

    def test_rerun_of_a_large_source(self, shell: Shell) -> None:
        """It gets a ConfigMap of its own, and goes on when the first job is deleted."""
        source = f"# {'x' * 200_000}\n{REPORT}"
        shell.cell("large --workers 1", source)
        first = shell.connection.get("large")
        again = first.rerun()
        first.delete()
        eventually(lambda: gone(shell.connection, config_map(first)))

        assert again.wait(20).state == "Succeeded"
        digest = hashlib.sha256(source.encode()).hexdigest()
        assert again.logs("master-0") == f"{digest}\n"
        assert again.source() == source
        held = shell.connection.client.get_config_map(config_map(again))
        assert [owner.uid for owner in held.metadata.owner_references or []] == [again.uid]
        with pytest.raises(errors.ManifestError, match="'large' has lost the ConfigMap of its co"):
            first.rerun()
        assert shell.names() == ["large-2"]

    def test_rerun_starts_what_was_suspended(self, shell: Shell) -> None:
        shell.cell("one --suspend -o job")
        job: Job = shell.ipython.user_ns["job"]
        eventually(lambda: job.state == "Suspended")

        again = job.rerun()

        assert again.wait(20).state == "Succeeded"
        assert job.state == "Suspended"

    def test_rerun_of_a_foreign_job(self, shell: Shell) -> None:
        from tests.data import SEED

        job = shell.connection.submit({**SEED, "metadata": {"name": "foreign"}}).rerun()

        assert job.name == "foreign-2"
        assert specs(job) == specs(shell.connection.get("foreign"))

    def test_rerun_needs_a_name_that_is_free(self, shell: Shell) -> None:
        shell.cell("one")

        with pytest.raises(errors.ExistsError, match="already exists"):
            shell.line("rerun one one")
        with pytest.raises(errors.OptionError, match="NAME: 'One' is not a job name"):
            shell.line("rerun one One")
        with pytest.raises(errors.NotFoundError, match='"nobody" not found'):
            shell.line("rerun nobody")
        assert shell.names() == ["one"]

    def test_delete_takes_several_names(self, shell: Shell) -> None:
        for name in ("one", "two", "three"):
            shell.cell(name)

        shell.line("delete one two")

        assert shell.names() == ["three"]
        with pytest.raises(errors.NotFoundError, match='"one" not found'):
            shell.line("delete three one")
        assert shell.names() == ["three"]  # one of them is wrong: nothing is changed

    def test_cell_brings_back_line_and_code(self, shell: Shell) -> None:
        source = "print('a')\n\n# the end\n"
        line = "one --env 'A=b c' --workers 1 -- '{{\"lr\": 1}}' '$x'"
        shell.cell(line, source)

        shell.line("cell one")

        put: str = shell.ipython.rl_next_input
        assert put == f"%%pytorchjob {line}\n{source}"

    def test_foreign_jobs_have_no_cell(self, shell: Shell) -> None:
        from tests.data import SEED

        shell.connection.submit(SEED)

        with pytest.raises(errors.ManifestError, match="was not made from a cell"):
            shell.line("cell pytorch-test")

    def test_what_is_missing_or_unknown_is_told(self, shell: Shell) -> None:
        with pytest.raises(errors.OptionError, match=r"'shw': no such verb .did you mean show"):
            shell.line("shw x")
        with pytest.raises(errors.OptionError, match="%pytorchjob show: NAME is missing"):
            shell.line("show")
        with pytest.raises(errors.NotFoundError, match='"nobody" not found'):
            shell.line("show nobody")

    def test_use_checks_what_it_is_given(self, shell: Shell) -> None:
        with pytest.raises(errors.OptionError, match="no target 'moon'"):
            shell.line("use moon")
        with pytest.raises(errors.OptionError, match="--namespace: 'A' is not a namespace"):
            shell.line("use local -n A")

    def test_a_namespace_is_checked_wherever_it_is_said(self, shell: Shell) -> None:
        """It becomes part of a path."""
        for line in ("list -n ../../nodes", "delete x -n 'a b'"):
            with pytest.raises(errors.OptionError, match="is not a namespace"):
                shell.line(line)
        with pytest.raises(errors.OptionError, match="--namespace: 'A' is not a namespace"):
            pyjob_magic.connect(namespace="A")


class TestProfiles:
    """Settings in the working directory."""

    @pytest.fixture(autouse=True)
    def settings(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        (file := tmp_path / "pyjob.toml").write_text(
            "[profiles.small]\nenv = {SIZE = 'small'}\nworkers = 1\n"
            "[profiles.team]\ninherits = 'small'\nnamespace = 'test-team'\non = 'local'\n"
        )
        return file

    def test_a_cell_runs_with_a_profile(self, shell: Shell) -> None:
        source = "import os; print(os.environ['SIZE'], os.environ['WORLD_SIZE'])"

        shell.cell("one --profile small --wait", source)

        assert shell.line("logs one --replica worker-0") == "small 2\n"
        annotations = shell.connection.get("one").manifest.metadata.annotations or {}
        assert annotations["pyjob-magic/profile"] == "small"
        assert annotations["pyjob-magic/line"] == "one --profile small --wait"

    def test_a_profile_says_where_jobs_go(self, shell: Shell) -> None:
        shell.cell("one --profile team --wait", "pass")
        try:
            assert shell.names() == []
            assert "one" in shell.line("list --profile team")
            assert "namespace test-team, profile team" in shell.line("use --profile team")
            assert "one" in shell.line("list")
        finally:
            shell.line("delete one --profile team")

    def test_a_profile_without_a_target_keeps_what_is_in_use(self, shell: Shell) -> None:
        shell.cell("one --profile small --wait", "pass")

        assert shell.names() == ["one"]

    def test_what_was_edited_holds_at_once(self, shell: Shell, settings: Path) -> None:
        shell.line(f"use --profile small -n {shell.connection.namespace}")
        settings.write_text("[profiles.small]\nenv = {SIZE = 'large'}\n")

        shell.cell("one --wait", "import os; print(os.environ['SIZE'])")

        assert shell.line("logs one --replica master-0") == "large\n"

    def test_the_settings_are_shown(self, shell: Shell) -> None:
        shown = shell.line("profiles")

        rows = [line.split() for line in shown.splitlines()]
        assert ["team", "workers", "1", "pyjob.toml:", "profiles.small.workers"] in rows
        assert "Who names no profile gets the defaults only" in shown

    def test_a_slip_is_one_line(self, shell: Shell, settings: Path) -> None:
        with pytest.raises(errors.OptionError, match=r"--profile: there is no profile 'smal' .did"):
            shell.cell("one --profile smal", "pass")
        with pytest.raises(
            errors.OptionError, match="%pytorchjob use: TARGET, --profile NAME, --c"
        ):
            shell.line("use")
        settings.write_text("[profiles.small]\nmemory = '4GB'\n")
        with pytest.raises(errors.SettingsError, match=r"^pyjob.toml: profiles.small.memory: "):
            shell.cell("one --profile small", "pass")
        assert shell.names() == []

    def test_tab_knows_the_names(self, shell: Shell, settings: Path) -> None:
        assert completions(shell, "%%pytorchjob x --profile ") == ["small", "team"]
        assert completions(shell, "%%pytorchjob x --profile=t") == ["--profile=team"]
        assert completions(shell, "%pytorchjob use --profile s") == ["small"]
        settings.write_text("broken")
        assert "small" not in completions(shell, "%pytorchjob use --profile s")


@contextlib.contextmanager
def silent_cluster(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Let the kubeconfig name a server that takes requests and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"http://127.0.0.1:{silent.getsockname()[1]}"
        kubeconfig = {
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "contexts": [{"name": "c", "context": {"cluster": "c"}}],
            "current-context": "c",
        }
        (directory / "config").write_text(json.dumps(kubeconfig))
        monkeypatch.setenv("KUBECONFIG", str(directory / "config"))
        yield silent


@pytest.mark.parametrize("verb", ["list", "doctor", "show x"])
def test_an_interrupt_is_one_line(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """Also where a request was under way, deep in the HTTP library."""
    with silent_cluster(tmp_path, monkeypatch) as server:
        accepted: list[Any] = []

        def interrupt() -> None:
            accepted.append(server.accept())
            os.kill(os.getpid(), signal.SIGINT)

        stop = threading.Thread(target=interrupt)
        stop.start()

        with pytest.raises(errors.DetachedError, match=f"%pytorchjob {verb[:4]}.* was interrupted"):
            shell.line(f"{verb} --on kubernetes")
        stop.join()
        accepted.pop()[0].close()


def test_logs_are_followed_to_the_end_of_the_job_not_of_a_replica_that_hangs(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a cell is that waits."""
    hangs = "import os, time\nprint('begun')\ntime.sleep(600 * int(os.environ['RANK']))"
    shell.cell("hangs --workers 1 --clean-pods None --wait", hangs)
    monkeypatch.setattr("pyjob_magic.job.LINGER", 0.5)

    assert "[master-0] begun" in shell.line("logs hangs --follow")


TURNS = """\
import os, pathlib, time
rank, turns = int(os.environ["RANK"]), pathlib.Path(os.environ["TURNS"])
for turn in range(rank, 6, 3):
    while turn and not (turns / str(turn - 1)).exists(): time.sleep(0.01)
    print(turn, flush=True)
    time.sleep(0.3)  # longer than between two looks at a log, which give lines their times
    (turns / str(turn)).touch()"""


@pytest.mark.parametrize("pods", ["None", "All"])
def test_logs_of_what_is_over_are_told_in_the_order_of_their_times(
    shell: Shell, tmp_path: Path, pods: str
) -> None:
    """Of all replicas together, not of one after the other; also where the pods are gone."""
    shell.cell(f"turns --workers 2 --clean-pods {pods} --env TURNS={tmp_path} --wait", TURNS)
    job = shell.connection.get("turns")
    eventually(lambda: pods == "None" or not job.replicas())

    assert [str(line) for line in job.logs(follow=True)] == [
        "[master-0] 0",
        "[worker-0] 1",
        "[worker-1] 2",
        "[master-0] 3",
        "[worker-0] 4",
        "[worker-1] 5",
    ]


class TestHistory:
    """Jobs that the API has forgotten."""

    @pytest.fixture
    def gone(self, shell: Shell) -> str:
        """Run a job that is deleted when it has ended; return its code."""
        source = "import os\nprint('token', os.environ['HF_TOKEN'][:2])"
        shell.ipython.user_ns["HF_TOKEN"] = "hf_4f3a9c"
        shell.cell("gone --ttl 2s --env HF_TOKEN={HF_TOKEN} --follow", source)
        eventually(lambda: shell.names() == [])
        return source

    def test_they_are_listed_and_shown(self, shell: Shell, gone: str) -> None:
        shell.cell("here")

        namespace = shell.connection.namespace
        rows = shell.line(f"history -n {namespace}").splitlines()[1:]
        assert [row.split("  ")[1:4] for row in rows] == [
            ["here", f"local / {namespace}", "Unknown"],
            ["gone", f"local / {namespace}", "Succeeded"],
        ]
        assert len(shell.line(f"history -n {namespace} --limit 1").splitlines()) == 2
        assert "no jobs were submitted" in shell.line("history --on cci")
        card = shell.line("history gone")
        assert "PyTorchJob gone: Succeeded" in card
        assert "%%pytorchjob gone --ttl 2s --env HF_TOKEN={HF_TOKEN} --follow" in card
        assert "[master-0] token hf" in card

    def test_they_can_be_shown_as_if_they_were_there(self, shell: Shell, gone: str) -> None:
        assert "PyTorchJob gone: Succeeded" in shell.line("show gone")

    def test_their_code_and_logs_are_still_there(self, shell: Shell, gone: str) -> None:
        logs = shell.line("logs gone --replica master-0").splitlines()
        assert logs[0].startswith("PyTorchJob 'gone' is gone from local; this is what the history")
        assert logs[1:] == ["token hf"]

        assert shell.line("cell gone").startswith("PyTorchJob 'gone' is gone from local; ")
        line = "gone --ttl 2s --env HF_TOKEN={HF_TOKEN} --follow"
        assert shell.ipython.rl_next_input == f"%%pytorchjob {line}\n{gone}"

    def test_they_run_again_with_secrets_of_the_notebook(self, shell: Shell, gone: str) -> None:
        shell.ipython.user_ns["HF_TOKEN"] = "another"
        shell.line("rerun gone")
        shell.line("wait gone-2")
        assert "[master-0] token an" in shell.line("logs gone-2")

        del shell.ipython.user_ns["HF_TOKEN"]
        with pytest.raises(errors.ManifestError, match="set HF_TOKEN in the notebook"):
            shell.line("rerun gone third")

    def test_tab_knows_them(self, shell: Shell, gone: str) -> None:
        shell.cell("here")

        assert completions(shell, "%pytorchjob rerun ") == ["gone", "here"]
        assert "gone" in completions(shell, "%pytorchjob history go")
        assert completions(shell, "%pytorchjob show ") == ["here"]

    def test_what_was_never_there_is_not_found(self, shell: Shell) -> None:
        with pytest.raises(errors.NotFoundError):
            shell.line("logs never")
        with pytest.raises(errors.OptionError, match="no PyTorchJob 'never' was submitted from"):
            shell.line("history never")
        with pytest.raises(errors.OptionError, match="--limit: 0 is out of range"):
            shell.line("history --limit 0")

    def test_what_is_deleted_is_noted(self, shell: Shell) -> None:
        shell.cell("long", "import time; time.sleep(600)")
        shell.line("delete long")

        assert "PyTorchJob long: Deleted" in shell.line("history long")


def test_delete_says_that_nothing_was_deleted(shell: Shell) -> None:
    """All or none."""
    shell.cell("here")

    with pytest.raises(errors.NotFoundError, match=r"'missing'.*; nothing was deleted"):
        shell.line("delete here missing")
    assert shell.names() == ["here"]


class TestTab:
    """Completion behind the magics."""

    @pytest.mark.parametrize(
        ("typed", "offered"),
        [
            ("%%pytorchjob x --res", ["--restart-policy"]),
            ("%%pytorchjob x --restart-policy O", ["OnFailure"]),
            ("%%pytorchjob x --dry-run=s", ["--dry-run=server"]),
            ("%%pytorchjob x --on ", ["cci", "kubernetes", "local"]),
            ("%pytorchjob sus", ["suspend"]),
            ("%pytorchjob logs x --re", ["--replica"]),
            ("%pytorchjob use l", ["local"]),
            ("%pytorchjob list -n ", ["default"]),
            ("%%pytorchjob x --memory 1", ["16Gi", "1Gi"]),
            ("%%pytorchjob x --mount m", ["memory:"]),
        ],
    )
    def test_options_and_values(self, shell: Shell, typed: str, offered: list[str]) -> None:
        assert completions(shell, typed) == offered

    def test_job_names(self, shell: Shell) -> None:
        shell.cell("digits-1")
        shell.cell("digits-2")

        assert completions(shell, "%pytorchjob show dig") == ["digits-1", "digits-2"]
        assert completions(shell, "%pytorchjob delete digits-1 digits-") == ["digits-2"]
        assert completions(shell, "%pytorchjob show -n elsewhere dig") == []
        assert completions(shell, "%pytorchjob rerun dig") == ["digits-1", "digits-2"]
        assert "digits-2" not in completions(shell, "%pytorchjob rerun digits-1 dig")

    def test_a_cluster_that_does_not_answer_keeps_nobody_waiting(
        self, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A moment is long enough for a Tab; the request itself would take half a minute."""
        with silent_cluster(tmp_path, monkeypatch):
            assert completions(shell, "%pytorchjob show --on kubernetes dig") == []
            asking = [t for t in threading.enumerate() if t.name == "pyjob-tab"]
            assert asking
        for thread in asking:
            thread.join()

    def test_replicas_of_a_job(self, shell: Shell) -> None:
        shell.cell("two --workers 1")

        assert completions(shell, "%pytorchjob logs two --replica ") == ["master-0", "worker-0"]
        # There is no such job elsewhere; what Python would complete is offered instead.
        offered = completions(shell, "%pytorchjob logs two --namespace elsewhere --replica m")
        assert "master-0" not in offered

    def test_files(self, shell: Shell, tmp_path: Path) -> None:
        (tmp_path / "job.yaml").touch()
        (tmp_path / "jobs").mkdir()

        offered = completions(shell, f"%%pytorchjob x --from {tmp_path}/jo")

        assert offered == [f"{tmp_path}/job.yaml", f"{tmp_path}/jobs/"]

    def test_the_body_of_the_cell_completes_as_ever(self, shell: Shell) -> None:
        shell.ipython.user_ns["a_long_name"] = 1

        assert "a_long_name" in completions(shell, "%%pytorchjob x\na_lon")


def test_same_from_python(shell: Shell) -> None:
    """The words of the magic are those of the API."""
    connection = shell.connection
    manifest = connection.build("print('hello')", name="py", workers=1, env={"A": "b"})

    job = connection.submit(manifest)

    assert job.wait(timeout=20).state == "Succeeded"
    assert job.logs("worker-0") == "hello\n"
    assert [line.text for line in job.logs(follow=True)] == ["hello", "hello"]
    assert {event.reason for event in job.events()} >= {"PyTorchJobSucceeded"}
    assert "py: Succeeded" in job._repr_mimebundle_()["text/plain"]
    assert repr(job) == f"Job('py', namespace={connection.namespace!r}, target='local')"
    job.delete()
    with pytest.raises(errors.NotFoundError):
        job.refresh()
    assert "py: Succeeded" in job._repr_mimebundle_()["text/plain"]  # as it was last seen


def test_waiting_survives_the_death_of_the_api(shell: Shell, tmp_path: Path, home: Path) -> None:
    """The API is killed while a job is waited for; it is started again and the job goes on."""
    import psutil

    go, started = tmp_path / "go", tmp_path / "started"
    shell.cell("tough -o job", f"open({str(started)!r}, 'w').close()\n{waiting_for(go)}")
    eventually(started.exists)
    job: Job = shell.ipython.user_ns["job"]

    seen = threading.Event()

    def kill() -> None:
        assert seen.wait(20)
        psutil.Process(json.loads((home / "api.json").read_text())["pid"]).kill()
        go.touch()

    killer = threading.Thread(target=kill)
    killer.start()
    lines = []

    def note(line: LogLine) -> None:
        lines.append(line.text)
        seen.set()

    status = job.wait(30, on_line=note)
    killer.join()
    assert status.state == "Succeeded"
    assert lines == ["waiting", "ran"]  # what was read before the cut is not read again


def test_unloading_removes_the_magics(shell: Shell) -> None:
    """After %unload_ext there is no %%pytorchjob, and no Tab of ours."""
    pyjob_magic.unload_ipython_extension(shell.ipython)

    assert shell.ipython.find_cell_magic("pytorchjob") is None
    assert completions(shell, "%%pytorchjob x --res") == []


@pytest.mark.parametrize("asked", ["%%pytorchjob?", "--help"])
def test_help_shows_every_option(shell: Shell, asked: str) -> None:
    """`%%pytorchjob?` and `--help` name all options and submit nothing."""
    from pyjob_magic.options import CellOptions, flag, options

    if asked == "--help":
        shown = shell.cell("--help").stdout
    else:
        shown = shell.ipython.object_inspect_text("%%pytorchjob")

    assert shell.names() == []

    for field, option in options(CellOptions).items():
        assert flag(field, option) in shown


def waiting_for(file: Path) -> str:
    return (
        "import os, time\nprint('waiting', flush=True)\n"
        f"while not os.path.exists({str(file)!r}): time.sleep(0.02)\nprint('ran')"
    )


def specs(job: Job) -> Any:
    return job.manifest.to_wire()["spec"]["pytorchReplicaSpecs"]


def config_map(job: Job) -> str:
    volumes = specs(job)["Master"]["template"]["spec"]["volumes"]
    return str(next(v["configMap"]["name"] for v in volumes if "configMap" in v))


def waits_for_restart(job: Job) -> bool:
    containers = [pod.main_container for pod in job.replicas()]
    return any(c and c.state.waiting and c.restart_count for c in containers)


def interrupt_when(condition: Callable[[], Any]) -> None:
    eventually(condition)
    os.kill(os.getpid(), signal.SIGINT)


def gone(connection: Connection, config_map: str) -> bool:
    try:
        connection.client.get_config_map(config_map)
    except errors.NotFoundError:
        return True
    return False


def completions(shell: Shell, typed: str) -> list[str]:
    with provisionalcompleter():
        found = shell.ipython.Completer.completions(typed, len(typed))
        return [completion.text for completion in found]
