"""Exec plugins: real programs that print credentials, or do not."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pyjob_magic.errors import TargetError, UnauthorizedError
from pyjob_magic.targets.kubernetes import execplugin
from pyjob_magic.targets.kubernetes.execcredential import VERSIONS, ExecCredential
from pyjob_magic.targets.kubernetes.kubeconfig import Exec
from tests.state import eventually, processes_with
from tests.targets.kubernetes.cluster import (
    Cluster,
    Json,
    as_data,
    ca_pem,
    client_certificate,
    connect_proxy,
    kubeconfig,
)
from tests.targets.kubernetes.conftest import Enter

V1 = VERSIONS[0]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Plugin:
    """A program in a directory of its own, which notes how it is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "plugin"
        self.write(f"echo $$ >> {folder}/runs; env > {folder}/env; cat {folder}/credential")

    def write(self, script: str) -> None:
        self.path.write_text(f"#!/bin/sh\n{script}\n")
        self.path.chmod(0o700)

    def prints(self, *, version: str = V1, **status: str) -> None:
        content = {"apiVersion": version, "kind": "ExecCredential", "status": status}
        (self.folder / "credential").write_text(json.dumps(content))

    @property
    def runs(self) -> int:
        runs = self.folder / "runs"
        return len(runs.read_text().splitlines()) if runs.exists() else 0

    @property
    def environment(self) -> dict[str, str]:
        lines = (self.folder / "env").read_text().splitlines()
        return dict(line.partition("=")[::2] for line in lines)

    def user(self, **settings: object) -> Json:
        said = {"apiVersion": V1, "command": str(self.path), "interactiveMode": "Never"}
        return {"exec": said | settings}


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


@pytest.mark.parametrize("version", VERSIONS)
def test_token(
    cluster: Cluster, tmp_path: Path, enter: Enter, plugin: Plugin, version: str
) -> None:
    """The plugin is run once, when it is needed, and its token kept."""
    cluster.accept("tok-1")
    plugin.prints(version=version, token="tok-1")
    client = enter(kubeconfig(tmp_path / "config", cluster, plugin.user(apiVersion=version)))
    assert plugin.runs == 0

    for _ in range(3):
        assert client.list_jobs() == []

    assert plugin.runs == 1
    told = json.loads(plugin.environment["KUBERNETES_EXEC_INFO"])
    assert told == {
        "apiVersion": version,
        "kind": "ExecCredential",
        "spec": {"interactive": False},
    }


def test_expiry(cluster: Cluster, tmp_path: Path, enter: Enter, plugin: Plugin) -> None:
    """A token is used until it expires, and then replaced before it is refused."""
    cluster.accept("tok-1", "tok-2")
    client = enter(kubeconfig(tmp_path / "config", cluster, plugin.user()))
    plugin.prints(token="tok-1", expirationTimestamp="2024-01-01T00:00:00Z")
    client.list_jobs()

    plugin.prints(token="tok-2", expirationTimestamp="2999-01-01T00:00:00Z")
    client.list_jobs()
    client.list_jobs()

    assert plugin.runs == 2
    assert [seen.bearer for seen in cluster.requests] == ["tok-1", "tok-2", "tok-2"]


@pytest.mark.parametrize(
    ("life", "margin"), [(timedelta(hours=1), 60), (timedelta(seconds=50), 5), (-timedelta(1), 0)]
)
def test_renewal_comes_shortly_before(life: timedelta, margin: int) -> None:
    """A minute before, and no more than a tenth of the whole."""
    status = {"token": "t", "expirationTimestamp": (NOW + life).isoformat()}
    printed = json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status})

    credential = ExecCredential.parse(printed.encode(), V1, NOW)

    assert credential.renewal == NOW + life - timedelta(seconds=margin)


def test_refusal(cluster: Cluster, tmp_path: Path, enter: Enter, plugin: Plugin) -> None:
    """After a 401 the plugin is run again, and the request sent again with what it prints."""
    cluster.accept("tok-1")
    plugin.prints(token="tok-1")
    client = enter(kubeconfig(tmp_path / "config", cluster, plugin.user()))
    client.list_jobs()

    cluster.accept("tok-2")
    plugin.prints(token="tok-2")

    assert client.list_jobs() == []
    assert plugin.runs == 2


def test_refusal_that_lasts(cluster: Cluster, tmp_path: Path, enter: Enter, plugin: Plugin) -> None:
    """The plugin is run once more, not for ever."""
    plugin.prints(token="tok-1")
    client = enter(kubeconfig(tmp_path / "config", cluster, plugin.user()))

    with pytest.raises(UnauthorizedError):
        client.list_jobs()

    assert plugin.runs == 2
    assert len(cluster.requests) == 2


def test_many_threads(cluster: Cluster, tmp_path: Path, enter: Enter, plugin: Plugin) -> None:
    """The plugin is run once for all, at the start and after a refusal."""
    cluster.accept("tok-1")
    plugin.prints(token="tok-1")
    client = enter(kubeconfig(tmp_path / "config", cluster, plugin.user()))
    together = threading.Barrier(8)

    def ask(_: int) -> int:
        together.wait()
        return len(client.list_jobs())

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 0
        cluster.accept("tok-2")
        plugin.prints(token="tok-2")
        assert sum(pool.map(ask, range(8))) == 0

    assert plugin.runs == 2


@pytest.mark.parametrize("proxied", [False, True])
def test_client_certificate(
    cluster: Cluster, tmp_path: Path, enter: Enter, plugin: Plugin, proxied: bool
) -> None:
    """It is shown to the server, and after a refusal the next one, on a new connection."""
    cluster.users = {"alice"}
    alice, bob = client_certificate("alice"), client_certificate("bob")
    plugin.prints(clientCertificateData=alice[0], clientKeyData=alice[1])
    with connect_proxy(cluster) as (url, _):
        settings: Json = {"certificate-authority-data": as_data(ca_pem())}
        if proxied:
            settings["proxy-url"] = url
        client = enter(kubeconfig(tmp_path / "config", cluster, plugin.user(), **settings))
        assert client.list_jobs() == []

        cluster.users = {"bob"}
        plugin.prints(clientCertificateData=bob[0], clientKeyData=bob[1])
        assert client.list_jobs() == []
        client.close()

    assert [seen.user for seen in cluster.requests] == ["alice", "alice", "bob"]
    assert plugin.runs == 2


def test_certificate_and_token(
    cluster: Cluster, tmp_path: Path, enter: Enter, plugin: Plugin
) -> None:
    """Where there are both, both are sent."""
    cluster.users = {"alice"}
    certificate, key = client_certificate("alice")
    plugin.prints(token="tok-1", clientCertificateData=certificate, clientKeyData=key)

    enter(kubeconfig(tmp_path / "config", cluster, plugin.user())).list_jobs()

    assert (cluster.requests[0].user, cluster.requests[0].bearer) == ("alice", "tok-1")


def test_cluster_info(cluster: Cluster, tmp_path: Path, enter: Enter, plugin: Plugin) -> None:
    """A plugin that wants to know where its credentials go is told, with its own settings."""
    cluster.accept("tok-1")
    plugin.prints(token="tok-1")
    (tmp_path / "ca.pem").write_text(ca_pem())
    settings: Json = {
        "certificate-authority": "ca.pem",
        "tls-server-name": "localhost",
        "extensions": [
            {"name": "other", "extension": 1},
            {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "x"}},
        ],
    }
    user = plugin.user(provideClusterInfo=True, env=[{"name": "MODE", "value": "quiet"}])

    enter(kubeconfig(tmp_path / "config", cluster, user, **settings)).list_jobs()

    told = json.loads(plugin.environment["KUBERNETES_EXEC_INFO"])["spec"]["cluster"]
    assert told == {
        "server": cluster.url,
        "tls-server-name": "localhost",
        "certificate-authority-data": as_data(ca_pem()),
        "config": {"audience": "x"},
    }
    assert plugin.environment["MODE"] == "quiet"
    assert plugin.environment["HOME"] == os.environ["HOME"]


def test_relative_command(cluster: Cluster, tmp_path: Path, enter: Enter, plugin: Plugin) -> None:
    """It stands beside the kubeconfig."""
    cluster.accept("tok-1")
    plugin.prints(token="tok-1")
    path = kubeconfig(tmp_path / "sub" / "config", cluster, plugin.user(command="../plugin"))

    assert enter(path).list_jobs() == []


def test_command_in_the_path(
    cluster: Cluster,
    tmp_path: Path,
    enter: Enter,
    plugin: Plugin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bare name is looked for in PATH, with its arguments."""
    cluster.accept("tok-1")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    plugin.prints(token="tok-1")
    (tmp_path / "credential").rename(tmp_path / "some where")
    plugin.write('cat "$1"')
    user = plugin.user(command="plugin", args=[str(tmp_path / "some where")])

    assert enter(kubeconfig(tmp_path / "config", cluster, user)).list_jobs() == []


HINT = "get it\n  from  https://example.com"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"command": "no-such-plugin", "installHint": HINT},
            "'no-such-plugin' of user 'here': it is not installed; get it from https://example",
        ),
        ({"command": "./gone"}, "'gone' of user 'here': it is not installed; install it, or"),
        ({"command": "./config"}, "'config' of user 'here': it is not executable; "),
        (
            {"apiVersion": "client.authentication.k8s.io/v1alpha1"},
            "v1alpha1 is not supported, but client.authentication.k8s.io/v1 and ",
        ),
        (
            {"interactiveMode": "Always"},
            r"wants to ask for something \(interactiveMode: Always\), but there is no terminal; ",
        ),
    ],
)
def test_plugin_that_cannot_be_run(
    cluster: Cluster, tmp_path: Path, enter: Enter, plugin: Plugin, settings: Json, reason: str
) -> None:
    """One line says which, of whom, why, and what to do."""
    client = enter(kubeconfig(tmp_path / "config", cluster, plugin.user(**settings)))

    with pytest.raises(TargetError, match=f"credential plugin .*{reason}") as caught:
        client.list_jobs()

    assert "\n" not in str(caught.value)
    assert plugin.runs == 0


TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.c2ln"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo start >&2; echo 'no session: log in' >&2; exit 3", "code 3: no session: log in"),
        ("exit 1", "it failed with exit code 1"),
        (f"echo {TOKEN}; exit 1", "it failed with exit code 1"),
        (f"echo got {TOKEN} >&2; exit 1", r"code 1: got \(hidden\)"),
        ("echo password=hunter2 >&2; exit 1", r"code 1: \(hidden\)"),
        ("echo see https://example.com/device >&2; exit 1", "1: see https://example.com/device"),
        ("kill -9 $$", "it failed with exit code -9"),
        ("", "it printed nothing"),
        (f"echo {TOKEN}", "it printed no JSON"),
        (f"echo '[\"{TOKEN}\"]'", "it printed no ExecCredential with a status"),
        ("printf '\\377'", "it printed no JSON"),
    ],
)
def test_plugin_that_fails(
    cluster: Cluster, tmp_path: Path, enter: Enter, plugin: Plugin, script: str, reason: str
) -> None:
    """What it said last is told, what it printed is not."""
    plugin.write(script)
    client = enter(kubeconfig(tmp_path / "config", cluster, plugin.user()))

    with pytest.raises(TargetError, match=f"plugin 'plugin' of user 'here': .*{reason}$") as caught:
        client.list_jobs()

    assert TOKEN not in str(caught.value)
    assert cluster.requests == []


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({}, "neither a token nor a client certificate with its key"),
        ({"clientCertificateData": "x"}, "neither a token nor a client certificate with its key"),
        ({"token": "t", "expirationTimestamp": "soon"}, "no date as expirationTimestamp"),
        ({"token": ["t"]}, "no text as token"),
    ],
)
def test_what_is_no_credential(status: Json, reason: str) -> None:
    """What is wrong with it is said."""
    printed = json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status})

    with pytest.raises(ValueError, match=reason):
        ExecCredential.parse(printed.encode(), V1, NOW)


def test_other_version(cluster: Cluster, tmp_path: Path, enter: Enter, plugin: Plugin) -> None:
    """A plugin that answers in another version than it was asked in is not understood."""
    plugin.prints(version=VERSIONS[1], token="t")
    client = enter(kubeconfig(tmp_path / "config", cluster, plugin.user()))

    with pytest.raises(
        TargetError, match=r"printed apiVersion '.*/v1beta1', but .* asks for '.*/v1"
    ):
        client.list_jobs()


def test_plugin_that_hangs(tmp_path: Path, plugin: Plugin) -> None:
    """It is ended after a while, with what it has started."""
    plugin.write("sleep 1000 & sleep 1000")
    env = {"PYJOB_TEST_PLUGIN": str(tmp_path)}
    program = Exec(str(plugin.path), env=env, api_version=V1, interactive_mode="Never")

    with pytest.raises(TargetError, match=r"'plugin' of user 'me': it has not ended after 0.5 s"):
        execplugin.Plugin(program, "me", lambda _: "", timeout=0.5).run()

    eventually(lambda: not processes_with("PYJOB_TEST_PLUGIN", tmp_path))


def test_plugin_that_waits_for_a_person(
    tmp_path: Path,
    plugin: Plugin,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where to log in is passed on while it waits."""
    monkeypatch.setattr(execplugin, "_QUIET", 0.2)
    plugin.prints(token="tok-1")
    plugin.write(
        "echo 'open https://login.example, code ABCD' >&2\n"
        f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; cat {tmp_path}/credential"
    )
    program = Exec(str(plugin.path), api_version=V1, interactive_mode="Never")

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(execplugin.Plugin(program, "me", lambda _: "").run)
        eventually(lambda: "open https://login.example, code ABCD" in caplog.text)
        (tmp_path / "go").touch()

        assert running.result().token == "tok-1"


def test_plugin_with_a_terminal(tmp_path: Path, cluster: Cluster, plugin: Plugin) -> None:
    """In a terminal it may ask, and is told so."""
    cluster.accept("tok-1")
    plugin.prints(token="tok-1")
    plugin.write(f'echo "$KUBERNETES_EXEC_INFO" > {tmp_path}/info; read x; cat {tmp_path}/$x')
    path = kubeconfig(tmp_path / "config", cluster, plugin.user(interactiveMode="Always"))
    program = "from pyjob_magic import connect\nprint('jobs:', len(connect('kubernetes').list()))"
    ours, theirs = pty.openpty()
    os.write(ours, b"credential\n")

    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "KUBECONFIG": str(path)},
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=30,
    )
    os.close(ours)
    os.close(theirs)

    assert done.stdout == "jobs: 0\n", done.stderr
    assert json.loads((tmp_path / "info").read_text())["spec"] == {"interactive": True}
