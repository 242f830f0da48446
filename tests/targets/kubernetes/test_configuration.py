"""Which kubeconfigs are read, what they say together, and what is used where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from pyjob_magic.errors import OptionError, TargetError
from pyjob_magic.targets import Access, contexts
from pyjob_magic.targets.kubernetes import target
from tests.targets.kubernetes.cluster import Cluster, ca_pem, kubeconfig
from tests.targets.kubernetes.conftest import Enter


def at(path: Path, server: str, **settings: str) -> Path:
    """Write a kubeconfig of the context `server`."""
    return kubeconfig(
        path, None, {"token": server}, name=server, server=f"https://{server}", context=settings
    )


def kubeconfigs(monkeypatch: pytest.MonkeyPatch, *paths: Path | str) -> None:
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, paths)))


class TestFiles:
    """What kubectl would read, and in its order."""

    def test_home(self, tmp_path: Path) -> None:
        """Where nothing is said, the file in the home directory."""
        at(tmp_path / "home" / ".kube" / "config", "home")

        assert target(Access()).base_url == "https://home"

    def test_variable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """KUBECONFIG takes the place of the file in the home directory."""
        at(tmp_path / "home" / ".kube" / "config", "home")
        kubeconfigs(monkeypatch, at(tmp_path / "a", "a"))

        assert target(Access()).base_url == "https://a"

    def test_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is said for the target comes before both."""
        kubeconfigs(monkeypatch, at(tmp_path / "a", "a"))
        said = os.pathsep.join([str(tmp_path / "gone"), str(at(tmp_path / "b", "b"))])

        assert target(Access(kubeconfig=said)).base_url == "https://b"

    def test_several(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """All count, the first file with a current context says which; missing ones are skipped."""
        first = at(tmp_path / "a", "a")
        first.write_text(first.read_text().replace("current-context: a", "current-context: ''"))
        second, third = at(tmp_path / "b", "b"), at(tmp_path / "c", "c")
        kubeconfigs(monkeypatch, first, "", tmp_path / "gone", second, third)

        assert target(Access()).place == "b"
        assert target(Access(context="a")).base_url == "https://a"
        assert target(Access(context="c")).base_url == "https://c"

    def test_first_wins(
        self, cluster: Cluster, tmp_path: Path, enter: Enter, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Entries of one name are not mixed: the first one counts."""
        cluster.accept("first")
        first = kubeconfig(tmp_path / "a", cluster, {"token": "first"})
        second = kubeconfig(tmp_path / "b", cluster, {"token": "second", "tokenFile": "gone"})

        assert enter(Path(f"{first}{os.pathsep}{second}")).list_jobs() == []

    def test_context_over_two_files(self, cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
        """The user may be in another file, and its paths are relative to that one."""
        cluster.accept("tok-1")
        first = kubeconfig(tmp_path / "a" / "config", cluster, {"token": "x"})
        whole = yaml.safe_load(first.read_text())
        first.write_text(yaml.safe_dump({**whole, "users": None}))
        second = kubeconfig(tmp_path / "b" / "config", cluster, {"tokenFile": "token"})
        (tmp_path / "b" / "token").write_text("tok-1")

        assert enter(Path(f"{first}{os.pathsep}{second}")).list_jobs() == []

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("a: b: SECRET", "the file is no valid YAML at line 1, column 5"),
            ("a: [SECRET", "the file is no valid YAML at line 1, column 11"),
            ("SECRET", "the file is a str, no mapping"),
            ("- SECRET", "the file is a list, no mapping"),
            ("a: \0", "the file is no valid YAML"),
            ("a: !!int SECRET", "the file is no valid YAML"),
            ("users: SECRET", "the file has no list as users"),
            ("contexts: [SECRET]", r"contexts\[0\] is a str, no mapping"),
            ("contexts: [{context: {}}]", r"contexts\[0\] has no name"),
            ("current-context: {a: b}", "the file has no text as current-context"),
        ],
    )
    def test_what_is_none(self, tmp_path: Path, text: str, reason: str) -> None:
        """File and place are named; what stands there is not shown."""
        path = tmp_path / "config"
        path.write_text(text)

        with pytest.raises(TargetError, match=f"kubeconfig {path}: {reason}") as caught:
            target(Access(kubeconfig=str(path)))

        assert "SECRET" not in str(caught.value).replace(str(path), "")

    def test_what_cannot_be_read(self, tmp_path: Path) -> None:
        """Neither a directory nor a picture."""
        (tmp_path / "picture").write_bytes(b"\x89PNG\xff")

        with pytest.raises(TargetError, match=f"kubeconfig {tmp_path}: Is a directory"):
            target(Access(kubeconfig=str(tmp_path)))
        with pytest.raises(TargetError, match="picture: the file is no text"):
            target(Access(kubeconfig=str(tmp_path / "picture")))


class TestContext:
    """Which one is meant."""

    def test_place_and_namespace(self, tmp_path: Path) -> None:
        """The target is told by its context, and takes the namespace from there."""
        found = target(Access(kubeconfig=str(at(tmp_path / "a", "a", namespace="team"))))

        assert (found.full_name, found.namespace) == ("kubernetes (a)", "team")

    def test_unknown(self, tmp_path: Path) -> None:
        """Those that there are are listed."""
        paths = f"{at(tmp_path / 'a', 'prod')}{os.pathsep}{at(tmp_path / 'b', 'test')}"

        with pytest.raises(OptionError, match=r"no context 'prd' \(did you mean prod\?\) .*: prod"):
            target(Access(kubeconfig=paths, context="prd"))

    def test_none_is_current(self, tmp_path: Path) -> None:
        """It has to be said which one."""
        path = at(tmp_path / "a", "a")
        path.write_text(path.read_text().replace("current-context: a", ""))

        with pytest.raises(OptionError, match=r"--context: no context is current in .*one of: a"):
            target(Access(kubeconfig=str(path)))

    @pytest.mark.parametrize(
        ("entry", "reason"),
        [
            ({}, "context 'a' has no cluster"),
            ({"cluster": "b"}, "context 'a' needs cluster 'b', which is in no file"),
            ({"cluster": "c"}, "cluster 'c' has no server"),
            ({"cluster": "c", "user": "u"}, "context 'a' needs user 'u', which is in no file"),
        ],
    )
    def test_incomplete(self, tmp_path: Path, entry: dict[str, str], reason: str) -> None:
        """What is missing is named, where it is needed."""
        whole = {
            "current-context": "a",
            "contexts": [{"name": "a", "context": entry}],
            "clusters": [{"name": "c", "cluster": None}],
        }
        (tmp_path / "config").write_text(yaml.safe_dump(whole))

        with pytest.raises(TargetError, match=f"config: {reason}"):
            target(Access(kubeconfig=str(tmp_path / "config")))

    def test_tab(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """All contexts are offered; where there is trouble, none."""
        kubeconfigs(monkeypatch, at(tmp_path / "a", "prod"), at(tmp_path / "b", "dev"))
        assert contexts() == ["dev", "prod"]

        (tmp_path / "a").write_text("a: b: c")
        assert contexts() == []
        os.mkfifo(tmp_path / "pipe")
        kubeconfigs(monkeypatch, tmp_path / "pipe")
        assert contexts() == []


class TestPod:
    """The service account of the pod that we run in."""

    @pytest.fixture
    def root(self, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Make this the inside of a pod of the cluster."""
        root = tmp_path / "serviceaccount"
        root.mkdir()
        (root / "token").write_text("tok-1")
        (root / "ca.crt").write_text(ca_pem())
        (root / "namespace").write_text("team\n")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(cluster.port))
        return root

    def test_service_account(self, cluster: Cluster, root: Path) -> None:
        """Without a kubeconfig it is used, in its own namespace; its token is read anew."""
        from pyjob_magic.client import Client

        cluster.accept("tok-1")
        client = Client(target(Access(), root=root))
        assert client.list_jobs() == []

        cluster.accept("tok-2")
        (root / "token").write_text("tok-2")
        assert client.list_jobs() == []

        client.close()
        assert (client.target.full_name, client.namespace) == ("kubernetes (in-cluster)", "team")

    @pytest.mark.parametrize("where", ["home/.kube/config", "variable"])
    def test_kubeconfig_comes_first(
        self, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
    ) -> None:
        """As for kubectl; the namespace of the pod holds where the context has none."""
        path = at(tmp_path / where, "a")
        if where == "variable":
            kubeconfigs(monkeypatch, path)

        found = target(Access(), root=root)

        assert (found.place, found.namespace) == ("a", "team")

    def test_kubeconfig_without_a_current_context(
        self, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It says nothing about where to go, unless a context is named."""
        path = at(tmp_path / "config", "a")
        path.write_text(path.read_text().replace("current-context: a", ""))
        kubeconfigs(monkeypatch, path)

        assert target(Access(), root=root).place == "in-cluster"
        assert target(Access(context="a"), root=root).place == "a"

    def test_named_kubeconfig_that_is_gone(self, root: Path, tmp_path: Path) -> None:
        """The job does not go to another cluster than the one that was meant."""
        with pytest.raises(TargetError, match=f"no cluster is known: .* in {tmp_path}/gone"):
            target(Access(kubeconfig=f"{tmp_path}/gone"), root=root)

    def test_address_with_colons(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An IPv6 address goes into brackets."""
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")

        assert target(Access(), root=root).base_url == "https://[fd00::1]"

    def test_pod_without_a_service_account(self, root: Path, tmp_path: Path) -> None:
        """It is no way in."""
        (root / "token").unlink()

        with pytest.raises(TargetError, match=r"no cluster is known: .*KUBECONFIG") as caught:
            target(Access(), root=root)

        assert f"{tmp_path}/home/.kube/config" in str(caught.value)
