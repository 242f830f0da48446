"""Looks at what a place has, for those who would not wait: nothing is asked twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyjob_magic.errors import NotFoundError
from pyjob_magic.rest import Rest
from pyjob_magic.target import Target

_NAMES = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class Looks:
    """What the API of a target answers about one namespace.

    Parameters
    ----------
    target, namespace
        What is looked at.
    seconds
        How long each answer is waited for.
    """

    def __init__(self, target: Target, namespace: str, seconds: float) -> None:
        self.rest = Rest(target, insist=False)
        self._namespace = namespace
        self._seconds = seconds

    def close(self) -> None:
        """Close the connections."""
        # Those of a transport that the target brings along serve others, too, such as watches.
        if self.rest.target.transport is None:
            self.rest.close()

    # -- what there is ------------------------------------------------------------------------

    def nodes(self) -> list[Any]:
        """Return the nodes of the cluster."""
        return self.items("/api/v1/nodes")

    def quotas(self) -> list[Any]:
        """Return the ResourceQuotas."""
        return self.items("resourcequotas")

    def pull_secrets(self) -> list[str]:
        """Return the names of the secrets that images can be pulled with; nothing else is sent."""
        return [
            str(secret["metadata"]["name"])
            for kind in ("dockerconfigjson", "dockercfg")
            for secret in self.items(
                "secrets", {"fieldSelector": f"type=kubernetes.io/{kind}"}, {"Accept": _NAMES}
            )
        ]

    def queues(self) -> list[Any] | None:
        """Return the LocalQueues of Kueue; None where there is no Kueue."""
        group = self.get_or_none("/apis/kueue.x-k8s.io")
        if group is None:
            return None
        version = group["preferredVersion"]["groupVersion"]
        return self.items(f"/apis/{version}/namespaces/{self._namespace}/localqueues")

    def metadata(self, path: str) -> list[Any]:
        """Return the metadata of objects; older servers send all of them."""
        found = self.items(path, headers={"Accept": f"{_NAMES},application/json"})
        return [item["metadata"] for item in found]

    # -- asking -------------------------------------------------------------------------------

    def items(
        self,
        path: str,
        selector: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[Any]:
        """Return objects of the namespace, or of a whole path; none where there are none such."""
        whole = path if path.startswith("/") else f"/api/v1/namespaces/{self._namespace}/{path}"
        query = {**(selector or {}), "limit": "500"}
        try:
            answer = self.ask("GET", whole, params=query, headers=headers)
        except NotFoundError:
            return []
        return list(answer.get("items") or [])

    def get_or_none(self, path: str) -> Any:
        """Return what is at a path; None where there is nothing."""
        try:
            return self.ask("GET", path)
        except NotFoundError:
            return None

    def ask(self, method: str, path: str, **content: Any) -> Any:
        """Return the answer to a request; see `Rest.ask`."""
        return self.rest.ask(f"{method} {path}", method, path, timeout=self._seconds, **content)
