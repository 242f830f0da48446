"""Clusters as a notebook sees them: contexts, warnings, Tab."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

import pyjob_magic
from pyjob_magic.errors import OptionError, UnauthorizedError
from tests.targets.kubernetes.cluster import Cluster, Json, kubeconfig

TOKEN = {"token": "tok-1"}
INSECURE: Json = {"insecure-skip-tls-verify": True}
Line = Callable[[str], str]


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    pyjob_magic.load_ipython_extension(shell)
    yield shell
    pyjob_magic.unload_ipython_extension(shell)
    InteractiveShell.clear_instance()


@pytest.fixture
def line(shell: InteractiveShell) -> Line:
    """Return a function that runs ``%pytorchjob LINE`` and returns what it shows as text."""

    def run(line: str) -> str:
        with capture_output() as shown:
            shell.run_line_magic("pytorchjob", line)
        return shown.stdout + "".join(output.data["text/plain"] for output in shown.outputs)

    return run


@pytest.fixture(autouse=True)
def two_contexts(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Know the cluster as ``safe`` and as ``open``, where nobody checks who answers."""
    cluster.accept("tok-1")
    safe = kubeconfig(tmp_path / "a", cluster, TOKEN, name="safe", context={"namespace": "team"})
    rash = kubeconfig(tmp_path / "b", cluster, TOKEN, name="open", **INSECURE)
    monkeypatch.setenv("KUBECONFIG", f"{safe}{os.pathsep}{rash}")


def test_verbs_take_a_context(line: Line, cluster: Cluster) -> None:
    """With the target, or where it is in use."""
    line("list --on kubernetes")
    line("list --on kubernetes --context open -n mine")

    paths = [seen.path.partition("/namespaces/")[2].partition("?")[0] for seen in cluster.requests]
    assert paths == ["team/pytorchjobs", "mine/pytorchjobs"]


def test_use(line: Line, cluster: Cluster) -> None:
    """The context stays, and its namespace is not taken to another one."""
    said = line("use kubernetes --context safe -n mine")
    assert said == "Jobs go to target kubernetes (safe), namespace mine.\n"

    assert line("").startswith("Target kubernetes (safe), namespace mine: no PyTorchJobs.")
    line("list --context open")
    assert "/namespaces/default/pytorchjobs" in cluster.requests[-1].path


def test_use_of_what_is_not_there(line: Line) -> None:
    """What was in use stays in use."""
    with pytest.raises(OptionError, match="--context: no context 'sfae'"):
        line("use kubernetes --context sfae")

    assert "kubernetes" not in line("use local").lower()


def test_kubeconfig_that_changes(line: Line, tmp_path: Path) -> None:
    """What it says now holds, as when somebody has logged in anew."""
    assert line("use kubernetes").startswith("Jobs go to target kubernetes (safe)")
    good = (tmp_path / "a").read_text()
    (tmp_path / "a").write_text(good.replace("tok-1", "expired"))
    with pytest.raises(UnauthorizedError):
        line("list")

    (tmp_path / "a").write_text(good)

    assert "Target kubernetes (safe)" in line("")


def test_only_the_namespace_is_changed(line: Line) -> None:
    """Target and context stay."""
    line("use kubernetes --context open")

    assert line("use -n elsewhere").startswith(
        "Jobs go to target kubernetes (open), namespace elsew"
    )
    assert line("use --context safe").startswith("Jobs go to target kubernetes (safe), namespace")


def test_another_current_context_is_not_what_was_meant(line: Line, tmp_path: Path) -> None:
    """Nobody deletes jobs of another cluster because a terminal has switched to it."""
    line("use kubernetes")
    (tmp_path / "a").unlink()  # now the context of the other file is the current one

    with pytest.raises(OptionError, match="--context: no context 'safe'"):
        line("")
    assert "Target kubernetes (open)" in line("use kubernetes").replace("Jobs go to t", "T")


def test_a_profile_that_is_edited_says_where_jobs_go(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its context and its namespace go together."""
    monkeypatch.chdir(tmp_path)
    profile = '[profiles.p]\non = "kubernetes"\ncontext = "open"\nnamespace = "ours"\n'
    (tmp_path / "pyjob.toml").write_text(profile)
    assert "Jobs go to target kubernetes (open), namespace ours" in line("use --profile p")

    (tmp_path / "pyjob.toml").write_text(profile.replace("open", "safe"))

    assert "Target kubernetes (safe), namespace ours" in line("")


def test_context_without_a_cluster(line: Line) -> None:
    """It does not go with the target that is in use."""
    with pytest.raises(OptionError, match="--context: target 'local' has no contexts; use --on k"):
        line("list --context safe")


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the default profile say where jobs go."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyjob.toml").write_text(
        'profile = "prod"\n'
        "[defaults]\n"
        'context = "open"\n'
        "[profiles.prod]\n"
        'on = "kubernetes"\n'
        'kubeconfig = "b"\n'
        'namespace = "ours"\n'
    )


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize(
    ("typed", "place"),
    [
        ("", "kubernetes (open), namespace ours"),
        ("--context open", "kubernetes (open), namespace ours"),
        ("-n mine", "kubernetes (open), namespace mine"),
    ],
)
def test_profile_says_where(line: Line, typed: str, place: str) -> None:
    """Its kubeconfig, context and namespace hold where the line says nothing."""
    said = line(f"use --profile prod {typed}")

    assert f"Jobs go to target {place}, profile prod." in said


@pytest.mark.usefixtures("profile")
def test_context_of_a_profile_is_not_for_others(line: Line) -> None:
    """Another context has another namespace, and this machine has no contexts."""
    with pytest.raises(OptionError, match=r"no context 'safe' .*; known: open"):
        line("list --context safe")

    assert "target local, namespace default" in line("use local")


def test_warning_is_printed_once(line: Line) -> None:
    """The first use of a cluster says what should be known about it."""
    warning = "Warning: the certificate of https://127.0.0.1"

    assert line("list --on kubernetes --context open").startswith(warning)
    assert warning not in line("list --on kubernetes --context open")
    assert warning not in line("list --on kubernetes --context open -n mine")


def test_warning_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """In Python it goes to the log."""
    with caplog.at_level(logging.WARNING, "pyjob_magic"):
        pyjob_magic.connect("kubernetes", context="open").close()

    assert "insecure-skip-tls-verify" in caplog.text


def completions(shell: InteractiveShell, typed: str) -> list[str]:
    with provisionalcompleter():
        return sorted(each.text for each in shell.Completer.completions(typed, len(typed)))


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("%%pytorchjob x --on kubernetes --context ", ["open", "safe"]),
        ("%%pytorchjob x --context=s", ["--context=safe"]),
        ("%pytorchjob use kubernetes --context o", ["open"]),
        ("%pytorchjob list --cont", ["--context"]),
    ],
)
def test_tab(shell: InteractiveShell, typed: str, offered: list[str]) -> None:
    """Contexts are offered."""
    assert completions(shell, typed) == offered


def test_tab_prints_nothing(
    shell: InteractiveShell, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the cluster should be known for is said by the verb, not while it is typed."""
    completions(shell, "%pytorchjob show --on kubernetes --context open ")

    assert cluster.requests
    assert capsys.readouterr().out == ""
