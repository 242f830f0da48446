"""What people say about the way into a target, in an option or a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CREDENTIALS = (
    "access_key",
    "secret_key",
    "security_token",
    "token",
    "user",
    "password",
    "domain",
    "project",
)
"""What `Access.credentials` may name."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """Which target of its kind is meant, and where its credentials are to be found.

    Parameters
    ----------
    kubeconfig
        Files, separated as in ``KUBECONFIG``; that variable or ``~/.kube/config`` if not said.
    context
        Context of the kubeconfig; the current one if not said.
    region
        Region of Huawei Cloud, such as ``cn-north-4``.
    endpoint, iam_endpoint
        URLs of CCI and of IAM, where they are not those of the region.
    credentials
        For each of `CREDENTIALS` that is used, the environment variable that holds it.
    command
        Program and arguments that print the credentials as a JSON object.
    """

    kubeconfig: str | None = None
    context: str | None = None
    region: str | None = None
    endpoint: str | None = None
    iam_endpoint: str | None = None
    credentials: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = field(default=(), repr=False)  # its arguments may be secret
