"""A small client for the tests: the API's own words, no client of ours in between."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import Any

import httpx

from tests.state import eventually

Json = dict[str, Any]


@dataclass
class Api:
    """The API as seen from one namespace."""

    http: httpx.Client
    namespace: str

    @classmethod
    def for_test(cls, http: httpx.Client, test: str) -> Api:
        word = re.sub("[^a-z0-9]+", "-", test.lower()).strip("-")[:40].strip("-")
        return cls(http, f"{word}-{zlib.crc32(test.encode()):08x}")

    @property
    def jobs(self) -> str:
        return f"/apis/kubeflow.org/v1/namespaces/{self.namespace}/pytorchjobs"

    def core(self, plural: str) -> str:
        return f"/api/v1/namespaces/{self.namespace}/{plural}"

    def submit(self, manifest: Json) -> Json:
        response = self.http.post(self.jobs, json=manifest)
        assert response.status_code == 201, response.text
        created: Json = response.json()
        return created

    def job(self, name: str) -> Json:
        return self._get(f"{self.jobs}/{name}")

    def pod(self, name: str) -> Json:
        return self._get(f"{self.core('pods')}/{name}")

    def pods(self, job: str = "") -> dict[str, Json]:
        params = {"labelSelector": f"training.kubeflow.org/job-name={job}"} if job else {}
        items = self._get(self.core("pods"), **params)["items"]
        return {pod["metadata"]["name"]: pod for pod in items}

    def log(self, pod: str, **params: Any) -> str:
        response = self.http.get(f"{self.core('pods')}/{pod}/log", params=params)
        assert response.status_code == 200, response.text
        return response.text

    def events(self, name: str = "") -> list[tuple[str, str, str]]:
        params = {"fieldSelector": f"involvedObject.name={name}"} if name else {}
        items = self._get(self.core("events"), **params)["items"]
        return [(event["type"], event["reason"], event["message"]) for event in items]

    def patch(self, name: str, change: Json) -> Json:
        response = self.http.patch(
            f"{self.jobs}/{name}",
            json=change,
            headers={"content-type": "application/merge-patch+json"},
        )
        assert response.status_code == 200, response.text
        patched: Json = response.json()
        return patched

    def conditions(self, name: str) -> dict[str, str]:
        """Return the status of each condition, such as ``{"Created": "True"}``."""
        entries = self.job(name).get("status", {}).get("conditions", [])
        return {entry["type"]: entry["status"] for entry in entries}

    def wait(self, name: str, kind: str) -> Json:
        """Wait for a condition of a job and return the job."""
        eventually(lambda: self.conditions(name).get(kind) == "True")
        return self.job(name)

    def wait_phase(self, pod: str, phase: str) -> Json:
        """Wait until a pod is in a phase and return the pod."""

        def reached() -> bool:
            found = self.pods().get(pod)
            return found is not None and found["status"]["phase"] == phase

        eventually(reached)
        return self.pod(pod)

    def wait_log(self, pod: str, text: str) -> str:
        """Wait until a pod has printed something and return its log."""

        def printed() -> str:
            response = self.http.get(f"{self.core('pods')}/{pod}/log")
            return response.text if text in response.text else ""

        return eventually(printed)

    def clear(self) -> None:
        """Delete what is in the namespace and wait until no replica is left."""
        self.http.delete(self.jobs)
        for pod in self.pods():
            self.http.delete(f"{self.core('pods')}/{pod}", params={"gracePeriodSeconds": 0})
        self.http.delete(self.core("configmaps"))
        self.http.delete(self.core("secrets"))
        eventually(lambda: not self.pods())

    def _get(self, path: str, **params: str) -> Json:
        response = self.http.get(path, params=params)
        assert response.status_code == 200, response.text
        body: Json = response.json()
        return body


def a_job(
    name: str = "j",
    code: str = "",
    *,
    workers: int = 0,
    policy: str = "Never",
    command: list[str] | None = None,
    container: Json | None = None,
    pod: Json | None = None,
    spec: Json | None = None,
    **run_policy: Any,
) -> Json:
    """Return a PyTorchJob that runs `code` with Python in every replica."""
    main = {
        "name": "pytorch",
        "image": "example/pytorch:1",
        "command": command or ["python", "-c", code],
        **(container or {}),
    }
    template = {
        "spec": {"containers": [main], "terminationGracePeriodSeconds": 1, **(pod or {})},
    }
    replicas = {"Master": 1} | ({"Worker": workers} if workers else {})
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": name},
        "spec": {
            "pytorchReplicaSpecs": {
                kind: {"replicas": count, "restartPolicy": policy, "template": template}
                for kind, count in replicas.items()
            },
            **({"runPolicy": run_policy} if run_policy else {}),
            **(spec or {}),
        },
    }
