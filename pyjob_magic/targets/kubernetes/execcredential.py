"""``ExecCredential``: what a credential plugin is told, and what it prints.

Source: k8s.io/client-go/pkg/apis/clientauthentication, v1beta1 and v1.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pyjob_magic.targets.kubernetes.kubeconfig import Cluster

VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_MARGIN = timedelta(minutes=1)


@dataclass(frozen=True)
class ExecCredential:
    """What a plugin has printed: a token, a client certificate, or both.

    Parameters
    ----------
    token, certificate, key
        Empty where there is none; certificate and key are PEM.
    renewal
        When to ask for the next one; None for never.
    """

    token: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    renewal: datetime | None = None

    @classmethod
    def parse(cls, printed: bytes, api_version: str, now: datetime) -> Self:
        """Return the credential that a plugin has `printed`.

        Raises
        ------
        ValueError
            If it is none; the message goes on after "it printed" and holds nothing of it.
        """
        try:
            content = json.loads(printed)
        except ValueError:
            raise ValueError("no JSON" if printed.strip() else "nothing") from None
        status = content.get("status") if isinstance(content, dict) else None
        if not isinstance(status, dict) or content.get("kind") != "ExecCredential":
            raise ValueError("no ExecCredential with a status")
        if (version := content.get("apiVersion")) != api_version:
            raise ValueError(f"apiVersion {version!r}, but the kubeconfig asks for {api_version!r}")
        keys = ("token", "clientCertificateData", "clientKeyData")
        token, certificate, key = (_text(status, name) for name in keys)
        if bool(certificate) != bool(key) or not (token or key):
            raise ValueError("neither a token nor a client certificate with its key")
        expiry = _text(status, "expirationTimestamp")
        return cls(token, certificate, key, _renewal(expiry, now) if expiry else None)


def info(cluster: Cluster | None, authority: bytes, api_version: str, *, interactive: bool) -> str:
    """Return what a plugin finds in ``KUBERNETES_EXEC_INFO``.

    Parameters
    ----------
    cluster
        The cluster, where the plugin wants to know.
    authority
        Certificates of its authority.
    """
    spec: dict[str, Any] = {"interactive": interactive}
    if cluster is not None:
        known = {
            "server": cluster.server,
            "tls-server-name": cluster.tls_server_name,
            "insecure-skip-tls-verify": cluster.insecure,
            "certificate-authority-data": base64.b64encode(authority).decode(),
            "proxy-url": cluster.proxy_url,
            "config": cluster.exec_config,
        }
        spec["cluster"] = {name: value for name, value in known.items() if value}
    return json.dumps({"apiVersion": api_version, "kind": "ExecCredential", "spec": spec})


def _text(status: dict[str, Any], key: str) -> str:
    value = status.get(key) or ""
    if not isinstance(value, str):
        raise ValueError(f"no text as {key}")
    return value


def _renewal(expiry: str, now: datetime) -> datetime:
    """Return a moment shortly before the end, but not so early that it is always there."""
    try:
        end = datetime.fromisoformat(expiry)
    except ValueError:
        raise ValueError("no date as expirationTimestamp") from None
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    return end - min(_MARGIN, max(end - now, timedelta()) / 10)
