"""The command line: what it prints, and what it returns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from pyjob_magic import cli, connect
from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from tests.state import VARIABLE, eventually, temporary_home

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home() -> Iterator[Home]:
    with temporary_home() as path, pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(path))
        yield Home(path)


@pytest.fixture
def run(home: Home, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command: its exit code, what it printed, and its errors."""

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(words)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_what_does_not_run_is_said(run: Run) -> None:
    assert run("status") == (3, "The embedded API does not run.\n", "")
    assert run("stop") == (0, "The embedded API does not run.\n", "")


def test_from_start_to_stop(run: Run, home: Home) -> None:
    code, printed, _ = run("serve")
    running = launcher.status()
    assert running
    assert (code, printed) == (0, f"The embedded API answers at {running.url}.\n")
    assert run("serve") == (0, printed, "")
    assert run("stop") == (0, "The embedded API has stopped.\n", "")
    assert launcher.status() is None


def test_the_status_tells_what_somebody_may_want_to_know(run: Run, home: Home) -> None:
    job = connect().submit(connect().build("import time; time.sleep(600)", name="sleeps"))
    running = launcher.status()
    assert running
    code, printed, _ = run("status")
    assert code == 0
    for fact in (running.url, running.secure_url, str(running.pid), str(home.path), " MiB"):
        assert fact in printed
    assert "Active jobs: 1 (default/sleeps)\n" in printed
    assert home.token() not in printed
    code, _, error = run("stop")
    assert code == 1
    assert error == "local: not stopped: 1 active job(s): default/sleeps; --force ends them\n"
    job.delete()


def test_a_kubeconfig_in_a_file_is_for_nobody_else(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "local.yaml"
    assert run("kubeconfig", "--output", str(file)) == (0, "", "")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == run("kubeconfig")[1]
    code, _, why = run("kubeconfig", "--output", str(tmp_path / "no" / "where.yaml"))
    assert (code, "No such file or directory" in why) == (1, True)


def test_the_kubeconfig_is_whole(run: Run, home: Home) -> None:
    code, printed, _ = run("kubeconfig")
    assert code == 0
    config = yaml.safe_load(printed)
    running = launcher.status()
    assert running
    assert config["clusters"][0]["cluster"]["server"] == running.secure_url
    assert config["clusters"][0]["cluster"]["certificate-authority-data"]
    assert config["users"][0]["user"] == {"token": home.token()}
    assert config["contexts"][0]["name"] == config["current-context"]


def test_a_directory_that_cannot_be_used_is_one_line(run: Run, home: Home) -> None:
    (home.path / "pods").write_text("")
    code, printed, error = run("serve")
    (home.path / "pods").unlink()
    assert (code, printed) == (1, "")
    assert error.startswith(f"local: cannot use the state directory {home.path}: ")
    assert error.count("\n") == 1


def test_in_the_foreground_it_serves_until_it_is_interrupted(home: Home) -> None:
    command = [sys.executable, "-m", "pyjob_magic.cli", "serve", "--foreground"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=Path(__file__).parents[1]) as serve:
        running = eventually(launcher.status)
        assert running.pid == serve.pid
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert f"an API already serves {home.path}" in second.stderr
        os.kill(serve.pid, signal.SIGINT)
        serve.wait(20)
    assert launcher.status() is None
    assert json.loads(home.api_file.read_text())["pid"] == serve.pid
