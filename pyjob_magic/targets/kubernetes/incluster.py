"""The service account of the pod that we run in."""

from __future__ import annotations

import os
from pathlib import Path

from pyjob_magic.targets.kubernetes.kubeconfig import Cluster, Context, Pem, User

ROOT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts what a pod needs to reach the API server."""
PLACE = "in-cluster"


def context(root: Path = ROOT) -> Context | None:
    """Return the way in for a pod's service account, None where we are in no pod."""
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{name}") for name in ("HOST", "PORT"))
    token = root / "token"
    if not (host and port and token.is_file()):
        return None
    return Context(
        PLACE,
        Cluster(
            f"https://{f'[{host}]' if ':' in host else host}:{port}",
            Pem(file=root / "ca.crt"),
        ),
        User("of the service account", token_file=token),
        namespace(root),
    )


def namespace(root: Path = ROOT) -> str:
    """Return the namespace of the service account, empty where there is none."""
    try:
        return (root / "namespace").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
