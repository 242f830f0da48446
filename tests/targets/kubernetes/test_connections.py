"""How a cluster is reached: whom to trust, under which name, through which proxy."""

from __future__ import annotations

import logging
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trustme

from pyjob_magic.errors import TargetError
from pyjob_magic.targets import Access
from pyjob_magic.targets.kubernetes import target
from pyjob_magic.targets.kubernetes.proxies import proxy_for
from tests.targets.kubernetes.cluster import (
    Cluster,
    Json,
    as_data,
    ca_pem,
    client_certificate,
    connect_proxy,
    kubeconfig,
    serving,
)
from tests.targets.kubernetes.conftest import Enter

TOKEN = {"token": "tok-1"}


@pytest.mark.parametrize("how", ["data", "absolute", "relative"])
def test_authority(cluster: Cluster, tmp_path: Path, enter: Enter, how: str) -> None:
    """It stands in the kubeconfig, or in a file that may be beside it."""
    cluster.accept("tok-1")
    (tmp_path / "ca.pem").write_text(ca_pem())
    folder = "" if how == "relative" else f"{tmp_path}/"
    trust: Json = {"certificate-authority": f"{folder}ca.pem"}
    if how == "data":
        trust = {"certificate-authority-data": as_data(ca_pem())}

    assert enter(kubeconfig(tmp_path / "config", cluster, TOKEN, **trust)).list_jobs() == []


def test_authority_with_its_name(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """Bundles have names between the certificates, in any script."""
    cluster.accept("tok-1")
    (tmp_path / "ca.pem").write_text(f"# Autorité, 認証局\n{ca_pem()}", encoding="utf-8")
    trust: Json = {"certificate-authority": "ca.pem"}

    assert enter(kubeconfig(tmp_path / "config", cluster, TOKEN, **trust)).list_jobs() == []


def test_authority_that_is_signed_by_another(tmp_path: Path, enter: Enter) -> None:
    """It is trusted by itself, as by kubectl."""
    intermediate = trustme.CA().create_child_ca()
    trust: Json = {"certificate-authority-data": as_data(intermediate.cert_pem.bytes())}

    with serving(signer=intermediate) as cluster:
        cluster.accept("tok-1")

        assert enter(kubeconfig(tmp_path / "config", cluster, TOKEN, **trust)).list_jobs() == []


@pytest.mark.parametrize(
    ("trust", "reason"),
    [
        ({"certificate-authority": "gone.pem"}, r"certificate-authority: cannot read .*/gone.pem"),
        ({"certificate-authority": "config"}, r"certificate-authority: .*/config holds no certif"),
        ({"certificate-authority-data": as_data("x")}, "certificate-authority-data holds no cert"),
        ({"certificate-authority-data": "!"}, r"config: cluster 'here' has no base64 as certif"),
        (
            {"certificate-authority": "config", "insecure-skip-tls-verify": True},
            "certificate-authority and insecure-skip-tls-verify exclude each other",
        ),
    ],
)
def test_authority_that_is_none(tmp_path: Path, enter: Enter, trust: Json, reason: str) -> None:
    """What cannot be used is named before anything is sent."""
    with pytest.raises(TargetError, match=reason):
        enter(kubeconfig(tmp_path / "config", None, TOKEN, **trust))


def test_insecure(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """Whoever answers is believed; the target warns of it."""
    cluster.accept("tok-1")
    insecure: Json = {"insecure-skip-tls-verify": True}
    client = enter(kubeconfig(tmp_path / "config", cluster, TOKEN, **insecure))

    assert client.list_jobs() == []
    (warning,) = client.target.warnings
    assert warning.startswith(f"the certificate of {cluster.url} is not checked (insecure-skip-")


def test_other_server_name(tmp_path: Path, enter: Enter) -> None:
    """The certificate is for another name than the one in the URL; the server is asked for that."""
    with serving(names=("api.example",)) as cluster:
        cluster.accept("tok-1")
        trust: Json = {
            "tls-server-name": "api.example",
            "certificate-authority-data": as_data(ca_pem()),
        }

        assert enter(kubeconfig(tmp_path / "config", cluster, TOKEN, **trust)).list_jobs() == []
        assert cluster.server_names == ["api.example"]


def test_path_of_the_server(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """A server behind a gateway has its API below a path."""
    cluster.accept("tok-1")
    path = kubeconfig(tmp_path / "config", cluster, TOKEN)
    path.write_text(path.read_text().replace(cluster.url, f"{cluster.url}/k8s/clusters/c-1/"))

    enter(path).list_jobs()

    assert cluster.requests[0].path.startswith("/k8s/clusters/c-1/apis/kubeflow.org/v1/")


@pytest.mark.parametrize(
    ("server", "url"),
    [("far:6443", "https://far:6443"), ("HTTPS://far", "https://far")],
)
def test_url_of_the_server(tmp_path: Path, enter: Enter, server: str, url: str) -> None:
    """Without a scheme it is https where certificates are spoken of."""
    trust: Json = {"certificate-authority-data": as_data(ca_pem())}
    path = kubeconfig(tmp_path / "config", None, TOKEN, server=server, **trust)

    assert enter(path).target.base_url == url


@pytest.mark.parametrize("server", ["ftp://far", "https://", "https://far:port"])
def test_url_that_is_none(tmp_path: Path, enter: Enter, server: str) -> None:
    """It is quoted."""
    with pytest.raises(TargetError, match=f"{re.escape(repr(server))} is no URL of a server"):
        enter(kubeconfig(tmp_path / "config", None, TOKEN, server=server))


def test_password_in_the_url_of_the_server(tmp_path: Path, enter: Enter) -> None:
    """It is not taken, as URLs are shown."""
    path = kubeconfig(tmp_path / "config", None, TOKEN, server="https://me:SECRET@far")

    with pytest.raises(TargetError, match="put them to the user") as refused:
        enter(path)

    assert "SECRET" not in str(refused.value)


YESTERDAY = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=1)


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ({"signer": trustme.CA()}, r"is not trusted \(.*issuer.*\); name its authority"),
        (
            {"names": ("api.example",)},
            r"is not trusted \(IP address mismatch.*\); .* tls-server-name",
        ),
        (
            {"not_before": YESTERDAY - timedelta(1), "not_after": YESTERDAY},
            r"is not trusted \(certificate has expired\); .* renewed",
        ),
        ({"certificate_required": True}, "it wants a client certificate that it trusts; check"),
        ({"tls": False}, "it does not speak TLS there; check the port"),
    ],
)
def test_distrust(tmp_path: Path, enter: Enter, server: Json, reason: str) -> None:
    """One line says what is wrong and what to do; nothing is sent again."""
    trust: Json = {"certificate-authority-data": as_data(ca_pem())}

    with serving(**server) as cluster:
        url = f"https://127.0.0.1:{cluster.port}"
        client = enter(kubeconfig(tmp_path / "config", None, TOKEN, server=url, **trust))
        told: list[str] = []
        client._rest.notify = told.append

        with pytest.raises(TargetError, match=rf"kubernetes \(here\) did not .*: .*{reason}") as e:
            client.list_jobs()

    assert "\n" not in str(e.value)
    assert told == []


def test_proxy(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """A proxy connects us to a name that only it knows; what is sent stays secret from it."""
    cluster.users = {"alice"}
    certificate, key = client_certificate("alice")
    user = {"client-certificate-data": as_data(certificate), "client-key-data": as_data(key)}

    with connect_proxy(cluster) as (url, asked):
        settings: Json = {
            "server": "https://far.example:6443",
            "proxy-url": url,
            "tls-server-name": "localhost",
            "certificate-authority-data": as_data(ca_pem()),
        }
        client = enter(kubeconfig(tmp_path / "config", None, user, **settings))

        assert client.list_jobs() == []
        assert asked == ["far.example:6443"]
        client.close()


def test_proxy_of_the_environment(
    cluster: Cluster, tmp_path: Path, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is used where the kubeconfig names none."""
    cluster.accept("tok-1")
    settings: Json = {
        "server": "https://far.example:6443",
        "tls-server-name": "localhost",
        "certificate-authority-data": as_data(ca_pem()),
    }

    with connect_proxy(cluster) as (url, asked):
        monkeypatch.setenv("HTTPS_PROXY", url)
        client = enter(kubeconfig(tmp_path / "config", None, TOKEN, **settings))

        assert client.list_jobs() == []
        assert asked == ["far.example:6443"]
        client.close()


@pytest.mark.parametrize(
    ("server", "no_proxy", "proxied"),
    [
        ("https://far.example", "", True),
        ("http://far.example", "", False),  # only HTTPS_PROXY is set
        ("https://far.example", "example", False),
        ("https://far.example", "near.example,.example", False),
        ("https://far.example", "*", False),
        ("https://far.example:6443", "far.example:6443", False),
        ("https://10.1.2.3", "10.0.0.0/8", False),
        ("https://11.1.2.3", "10.0.0.0/8", True),
        ("https://[fd00::1]:6443", "fd00::/8", False),
        ("https://127.0.0.1:6443", "", False),
        ("https://[::1]:6443", "", False),
        ("https://localhost:6443", "", False),
    ],
)
def test_no_proxy(
    monkeypatch: pytest.MonkeyPatch, server: str, no_proxy: str, proxied: bool
) -> None:
    """Networks count, and nobody needs a proxy to this machine."""
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)

    found = proxy_for(httpx.URL(server))

    assert (found and str(found.url)) == ("http://proxy.example:3128" if proxied else None)


def test_what_is_no_proxy() -> None:
    """It is not quoted: it may hold a password."""
    with pytest.raises(TargetError, match="proxy-url of the kubeconfig is no URL") as caught:
        proxy_for(httpx.URL("https://far"), "ftp://user:secret@proxy")

    assert "secret" not in str(caught.value)


def test_password_of_a_socks_proxy_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The HTTP library would write it into its debug log."""
    caplog.set_level(logging.DEBUG)
    library = logging.getLogger("httpcore.socks")

    library.debug("setup_socks5_connection.started host='far' auth=(b'me', b'SECRET')")
    library.debug("connect_tcp.started host='far'")

    assert caplog.messages == ["connect_tcp.started host='far'"]


def test_socks_without_its_package(
    tmp_path: Path, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to install is said."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    settings: Json = {"proxy-url": "socks5://127.0.0.1:1080"}

    with pytest.raises(TargetError, match=r"pip install 'httpx\[socks\]'"):
        enter(kubeconfig(tmp_path / "config", None, TOKEN, **settings))


def test_proxy_that_refuses(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """It is said that it was the proxy."""
    settings: Json = {
        "server": "https://far.example",
        "proxy-url": f"http://127.0.0.1:{cluster.port}",
    }

    with serving(tls=False) as no_proxy:
        settings["proxy-url"] = no_proxy.url
        client = enter(kubeconfig(tmp_path / "config", None, TOKEN, **settings))

        with pytest.raises(TargetError, match=r": the proxy on the way says 501 "):
            client.list_jobs()


def test_dead_connections_are_noticed(cluster: Cluster, tmp_path: Path) -> None:
    """The kernel asks whether the other side is still there while nothing comes."""
    cluster.accept("tok-1")
    path = kubeconfig(tmp_path / "config", cluster, TOKEN)
    there = target(Access(kubeconfig=str(path)))

    with httpx.Client(transport=there.transport, auth=there.auth) as http:
        response = http.get(there.base_url)
        connection = response.extensions["network_stream"].get_extra_info("socket")

        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3


def test_hundreds_of_streams(tmp_path: Path) -> None:
    """No stream waits until another one has ended."""
    with serving(tls=False) as cluster, many_streams(tmp_path, cluster, 150) as streams:
        assert len(streams) == 150


@contextmanager
def many_streams(tmp_path: Path, cluster: Cluster, count: int) -> Iterator[list[httpx.Response]]:
    """Open as many streams, and read none of them."""
    path = kubeconfig(tmp_path / "config", cluster, TOKEN)
    there = target(Access(kubeconfig=str(path)))
    with httpx.Client(transport=there.transport, timeout=20) as http:
        request = http.build_request("GET", there.base_url)
        opened = [http.send(request, stream=True) for _ in range(count)]
        yield opened
        for response in opened:
            response.close()
