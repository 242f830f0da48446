"""Who we are: tokens, certificates, passwords, nobody."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pyjob_magic.errors import TargetError, UnauthorizedError
from pyjob_magic.streams import Streams
from tests.targets.kubernetes.cluster import (
    Cluster,
    as_data,
    client_certificate,
    kubeconfig,
    serving,
)
from tests.targets.kubernetes.conftest import Enter


def test_token(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """A token is sent with each request."""
    cluster.accept("tok-1")

    assert enter(kubeconfig(tmp_path / "config", cluster, {"token": "tok-1"})).list_jobs() == []


@pytest.mark.parametrize("token", ["12345", "1e5", "0x1f", "2024-01-01"])
def test_token_that_looks_like_a_number(
    cluster: Cluster, tmp_path: Path, enter: Enter, token: str
) -> None:
    """Without quotes it is the same text."""
    cluster.accept(token)
    path = kubeconfig(tmp_path / "config", cluster, {"token": "TOKEN"})
    path.write_text(path.read_text().replace("TOKEN", token))

    assert enter(path).list_jobs() == []


def test_refused_token_is_told_once(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """There is no other one: the request is not sent again."""
    client = enter(kubeconfig(tmp_path / "config", cluster, {"token": "tok-1"}))

    with pytest.raises(UnauthorizedError, match=r"\(401\): Unauthorized; check the credentials"):
        client.list_jobs()

    assert len(cluster.requests) == 1


def test_nobody(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """A context without a user asks without credentials, and is refused as such."""
    client = enter(kubeconfig(tmp_path / "config", cluster))

    with pytest.raises(UnauthorizedError):
        client.list_jobs()

    assert cluster.requests[0].header("Authorization") is None


@pytest.mark.parametrize("relative", [True, False])
def test_token_file(cluster: Cluster, tmp_path: Path, enter: Enter, relative: bool) -> None:
    """A relative one stands beside the kubeconfig, wherever we are."""
    cluster.accept("tok-1")
    (tmp_path / "token").write_text("tok-1\n")
    named = "token" if relative else str(tmp_path / "token")

    assert enter(kubeconfig(tmp_path / "config", cluster, {"tokenFile": named})).list_jobs() == []


def test_token_file_that_is_replaced(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """The next request takes the new token, also for a stream."""
    (tmp_path / "token").write_text("tok-1")
    cluster.accept("tok-1")
    client = enter(kubeconfig(tmp_path / "config", cluster, {"tokenFile": "token"}))
    client.list_jobs()

    (tmp_path / "token").write_text("tok-2")
    cluster.accept("tok-2")

    assert client.list_jobs() == []
    with client.stream_log("pod", Streams()) as log:
        assert b"PyTorchJobList" in b"".join(log)
    assert [seen.bearer for seen in cluster.requests] == ["tok-1", "tok-2", "tok-2"]


def test_token_file_wins(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """Where both are said, the file is newer, as for kubectl."""
    cluster.accept("new")
    (tmp_path / "token").write_text("new")
    user = {"token": "old", "tokenFile": "token"}

    assert enter(kubeconfig(tmp_path / "config", cluster, user)).list_jobs() == []


def test_missing_token_file(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """It is named, and nothing is sent."""
    client = enter(kubeconfig(tmp_path / "config", cluster, {"tokenFile": "gone"}))

    with pytest.raises(TargetError, match=r"cannot read the token in .*/gone: No such file"):
        client.list_jobs()

    assert cluster.requests == []


@pytest.mark.parametrize("token", ["two words", "tok\u00e9n", "line\nbreak"])
def test_impossible_token_is_not_shown(
    cluster: Cluster, tmp_path: Path, enter: Enter, token: str
) -> None:
    """The HTTP client would print it."""
    client = enter(kubeconfig(tmp_path / "config", cluster, {"token": token}))

    with pytest.raises(TargetError, match="the token of user 'here' is empty or holds") as caught:
        client.list_jobs()

    assert token not in str(caught.value)


def test_basic(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """A name and a password."""
    cluster.accepted = {"Basic " + base64.b64encode(b"me:pass").decode()}
    user = {"username": "me", "password": "pass"}

    assert enter(kubeconfig(tmp_path / "config", cluster, user)).list_jobs() == []


@pytest.mark.parametrize("how", ["data", "absolute", "relative"])
def test_client_certificate(cluster: Cluster, tmp_path: Path, enter: Enter, how: str) -> None:
    """It stands in the kubeconfig, or in files."""
    cluster.users = {"alice"}
    certificate, key = client_certificate("alice")
    (tmp_path / "crt.pem").write_text(certificate)
    (tmp_path / "key.pem").write_text(key)
    folder = "" if how == "relative" else f"{tmp_path}/"
    user = {"client-certificate": f"{folder}crt.pem", "client-key": f"{folder}key.pem"}
    if how == "data":
        user = {
            "client-certificate-data": as_data(certificate),
            "client-key-data": as_data(key),
        }

    assert enter(kubeconfig(tmp_path / "config", cluster, user)).list_jobs() == []


def test_no_key_is_left_behind(
    cluster: Cluster, tmp_path: Path, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that OpenSSL reads it from is gone again."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    certificate, key = client_certificate("alice")
    user = {"client-certificate-data": as_data(certificate), "client-key-data": as_data(key)}

    enter(kubeconfig(tmp_path / "config", cluster, user))

    assert list((tmp_path / "tmp").iterdir()) == []


def test_certificate_that_is_replaced(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """Who uses the target is told that it was made from another one."""
    certificate, key = client_certificate("alice")
    (tmp_path / "crt.pem").write_text(certificate)
    (tmp_path / "key.pem").write_text(key)
    user = {"client-certificate": "crt.pem", "client-key": "key.pem"}
    found = enter(kubeconfig(tmp_path / "config", cluster, user)).target
    assert not found.is_outdated()

    for name, text in zip(("crt.pem", "key.pem"), client_certificate("bob"), strict=True):
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").replace(tmp_path / name)

    assert found.is_outdated()


def test_no_room_for_a_key(
    cluster: Cluster, tmp_path: Path, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the file cannot be written is one line."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    certificate, key = client_certificate("alice")
    user = {"client-certificate-data": as_data(certificate), "client-key-data": as_data(key)}

    with pytest.raises(TargetError, match="the client certificate of user 'here' cannot be used"):
        enter(kubeconfig(tmp_path / "config", cluster, user))


def encrypted_key() -> str:
    """Return a key that wants a password."""
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
        .decode()
    )


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "cannot be used: it is no PEM with a key in PEM"),
        ("no key", "cannot be used: it is no PEM with a key in PEM"),
        (client_certificate("bob")[1], "cannot be used: its key is another one's"),
        (encrypted_key(), "cannot be used: its key is encrypted; only keys without"),
    ],
)
def test_bad_key(cluster: Cluster, tmp_path: Path, enter: Enter, key: str, reason: str) -> None:
    """The user is named, the key is not shown, nobody is asked for a password."""
    certificate = as_data(client_certificate("alice")[0])
    user = {"client-certificate-data": certificate, "client-key-data": as_data(key)}

    with pytest.raises(TargetError, match=f"the client certificate of user 'here' {reason}"):
        enter(kubeconfig(tmp_path / "config", cluster, user))


def oidc(token: str) -> dict[str, Any]:
    return {"auth-provider": {"name": "oidc", "config": {"id-token": token}}}


def id_token(expiry: float) -> str:
    """Return a JSON Web Token, as far as anybody looks at it here."""
    parts = ({"alg": "none"}, {"exp": expiry})
    coded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return ".".join([*(part.rstrip("=") for part in coded), "signature"])


def test_id_token(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """That of an auth-provider of old is used as long as it is valid."""
    token = id_token(time.time() + 3600)
    cluster.accept(token)

    assert enter(kubeconfig(tmp_path / "config", cluster, oidc(token))).list_jobs() == []


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        (oidc(id_token(1_700_000_000)), "'oidc' .* has expired at 2023-11-14 22:13 UTC; .*exec"),
        (oidc(id_token(9_999_999_999)), "'oidc' .* does not accept its id-token; .*exec plugin"),
        (oidc(""), "'oidc' of user 'here': it has no id-token; .*exec plugin"),
        ({"auth-provider": {"name": "gcp"}}, "'gcp' of user 'here': it is not supported; .*exec"),
    ],
)
def test_auth_provider_that_is_of_no_use(
    cluster: Cluster, tmp_path: Path, enter: Enter, user: dict[str, Any], reason: str
) -> None:
    """What is there now instead is said."""
    client = enter(kubeconfig(tmp_path / "config", cluster, user))

    with pytest.raises(TargetError, match=reason) as caught:
        client.list_jobs()

    assert "eyJ" not in str(caught.value)


def test_impersonation(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """Who acts on behalf of somebody else has no more rights than that one."""
    cluster.accept("tok-1")
    user = {
        "token": "tok-1",
        "as": "bob",
        "as-groups": ["dev", "ops"],
        "as-user-extra": {"scopes/x": ["view"]},
    }

    enter(kubeconfig(tmp_path / "config", cluster, user)).list_jobs()

    seen = cluster.requests[0]
    assert seen.header("Impersonate-User") == "bob"
    assert seen.header("Impersonate-Group") == "dev, ops"
    assert seen.header("Impersonate-Extra-scopes%2fx") == "view"


def test_plain_http(tmp_path: Path, enter: Enter) -> None:
    """A server on this machine, such as `kubectl proxy`, needs no TLS."""
    with serving(tls=False) as cluster:
        cluster.accept("tok-1")
        client = enter(kubeconfig(tmp_path / "config", cluster, {"token": "tok-1"}))

        assert client.list_jobs() == []
        assert client.target.warnings == ()


def test_no_credentials_in_the_clear(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """Over plain HTTP to another machine none are sent, as by kubectl, and it is said."""
    path = kubeconfig(tmp_path / "config", cluster, {"token": "tok-1"}, server="http://far:8080")

    target = enter(path).target

    assert target.auth is None
    assert "http://far:8080 is reached without TLS: no credentials" in target.warnings[0]


def test_representations_show_no_secret(cluster: Cluster, tmp_path: Path, enter: Enter) -> None:
    """Neither of the target nor of what leads to it."""
    from pyjob_magic.targets.kubernetes.kubeconfig import Kubeconfig

    user = {
        "token": "SECRET-1",
        "password": "SECRET-2",
        "client-key-data": as_data("SECRET-3"),
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "x",
            "args": ["SECRET-4"],
            "env": [{"name": "X", "value": "SECRET-5"}],
        },
        "auth-provider": {"name": "oidc", "config": {"id-token": "SECRET-6"}},
    }
    path = kubeconfig(tmp_path / "config", cluster, user)
    config = Kubeconfig.parse(path.read_text(), path)

    shown = f"{enter(path).target!r} {config!r} {config.context()!r}"

    assert "SECRET" not in shown
    assert "b'" not in shown
