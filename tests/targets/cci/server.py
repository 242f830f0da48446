"""A CCI of documented behaviour, with IAM beside it: for `httpx.MockTransport`, no network.

It verifies signatures and tokens with code of its own, takes only documented query parameters,
content types and fields, and answers with the documented bodies.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import itertools
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

import httpx

from tests.data import read

Json = dict[str, Any]

ACCESS_KEY, SECRET_KEY = "AKTESTTESTTEST", "sk-very-secret-value"
SECURITY_TOKEN = "temporary-secret-token"
USER, PASSWORD, DOMAIN, PROJECT = "alice", "pw-very-secret-value", "acme", "cn-north-4"
CCI_HOST = "cci.cn-north-4.myhuaweicloud.com"
IAM_HOST = "iam.cn-north-4.myhuaweicloud.com"
NAMESPACE = "kube-test"

_LISTING = {"fieldSelector", "labelSelector", "limit", "resourceVersion", "timeoutSeconds", "watch"}
_LISTING |= {"continue", "pretty"}
_DELETION = {"dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy", "pretty"}
_LOG = {"container", "follow", "limitBytes", "previous", "sinceSeconds", "sinceTime", "tailLines"}
_LOG |= {"timestamps"}
_SPEC = {
    "pytorchReplicaSpecs",
    "activeDeadlineSeconds",
    "backoffLimit",
    "cleanPodPolicy",
    "ttlSecondsAfterFinished",
}
_MUTABLE = {
    ("metadata", "labels"),
    ("metadata", "annotations"),
    ("spec", "activeDeadlineSeconds"),
    ("spec", "ttlSecondsAfterFinished"),
    ("spec", "cleanPodPolicy"),
}


class RefusalError(Exception):
    """A request that is not carried out."""

    def __init__(self, code: int, body: Any, **headers: str) -> None:
        super().__init__(code, body)
        self.response = httpx.Response(code, json=body, headers=headers)


def failure(code: int, reason: str, message: str, error_code: str = "") -> RefusalError:
    """Return a Status of CCI's form."""
    body = {**read("cci/error-response.json"), "message": message, "reason": reason, "code": code}
    body["errorCode"] = error_code or f"CCI.01.{code}100"
    return RefusalError(code, body)


def gateway(code: int, error_code: str, message: str, **headers: str) -> RefusalError:
    """Return an error of the API gateway."""
    body = {"error_msg": message, "error_code": error_code, "request_id": "5f3a9b"}
    return RefusalError(code, body, **headers)


class CciServer:
    """One region with one namespace; call it with a request.

    Parameters
    ----------
    now
        Its clock, in seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.secret_keys = {ACCESS_KEY: SECRET_KEY}
        self.passwords = {(DOMAIN, USER): PASSWORD}
        self.tokens: dict[str, float] = {}
        self.groups = read("cci/api-group-list-response.json")
        self.namespace = read("cci/namespace-create-response.json")
        self.networks: list[Json] = [read("cci/network-create-response.json")]
        self.jobs: dict[str, Json] = {}
        self.pods: dict[str, Json] = {}
        self.config_maps: dict[str, Json] = {}
        self.events: list[Json] = []
        self.logs: dict[str, str] = {}
        self.requests: list[httpx.Request] = []
        self.faults: deque[RefusalError] = deque()
        self.on_log: Callable[[], None] = lambda: None
        self._versions = itertools.count(72516798)
        self._lock = threading.RLock()

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self)

    def sent(self, method: str, ending: str = "") -> list[httpx.Request]:
        """Return the requests of a method whose path has this ending, in their order."""
        return [r for r in self.requests if r.method == method and r.url.path.endswith(ending)]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.requests.append(copy.copy(request))
            try:
                if request.url.host == IAM_HOST:
                    return self._issue(request)
                assert request.url.host == CCI_HOST
                self._authenticate(request)
                if self.faults:
                    raise self.faults.popleft()
                return self._serve(request)
            except RefusalError as refusal:
                refusal.response.headers["Date"] = self._date()
                return refusal.response

    # -- who asks -----------------------------------------------------------------------------

    def expire_tokens(self) -> None:
        self.tokens.clear()

    def _date(self) -> str:
        return datetime.fromtimestamp(self.now(), UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")

    def _issue(self, request: httpx.Request) -> httpx.Response:
        assert request.method == "POST"
        assert request.url.path == "/v3/auth/tokens"
        assert request.headers["Content-Type"].startswith("application/json")
        assert "Authorization" not in request.headers
        documented = read("cci/iam-token-request.json")
        asked = json.loads(request.content)
        user = asked["auth"]["identity"]["password"]["user"]
        key = (user["domain"]["name"], user["name"])
        if self.passwords.get(key) != user["password"]:
            message = "The username or password is wrong."
            raise RefusalError(
                401, {"error": {"code": 401, "message": message, "title": "Unauthorized"}}
            )
        assert _shape(asked) == _shape(documented)
        assert asked["auth"]["scope"]["project"]["name"] == PROJECT
        token = f"secret-token-{len(self.tokens)}-{next(self._versions)}"
        self.tokens[token] = self.now() + 24 * 3600
        times = [datetime.fromtimestamp(self.now() + s, UTC) for s in (0, 24 * 3600)]
        issued, expires = (t.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for t in times)
        body = {"token": {"issued_at": issued, "expires_at": expires, "methods": ["password"]}}
        return httpx.Response(201, json=body, headers={"X-Subject-Token": token})

    def _authenticate(self, request: httpx.Request) -> None:
        if token := request.headers.get("X-Auth-Token"):
            if self.tokens.get(token, 0) <= self.now():
                raise gateway(401, "APIG.0301", "Incorrect IAM authentication information")
            return
        signed = re.fullmatch(
            r"SDK-HMAC-SHA256 Access=(\w+), SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
            request.headers.get("Authorization", ""),
        )
        if signed is None:
            raise gateway(401, "APIGW.0301", "Incorrect IAM authentication information")
        date = datetime.strptime(request.headers["X-Sdk-Date"] + "+0000", "%Y%m%dT%H%M%SZ%z")
        if abs(date.timestamp() - self.now()) > 900:
            raise gateway(401, "APIGW.0303", "Incorrect app authentication information: date")
        key = self.secret_keys.get(signed[1], "")
        if not hmac.compare_digest(signature(request, signed[2].split(";"), key), signed[3]):
            raise gateway(401, "APIGW.0301", "Incorrect IAM authentication information: verify")

    # -- what is there ------------------------------------------------------------------------

    def run(self, name: str) -> None:
        """Do what the operator does: pods that belong to the job, and a condition."""
        with self._lock:
            job = self.jobs[name]
            for kind, replica in job["spec"]["pytorchReplicaSpecs"].items():
                for index in range(replica.get("replicas", 1)):
                    self._add_pod(job, f"{name}-{kind.lower()}-{index}")
            self._condition(job, "Running")

    def finish(self, name: str) -> None:
        """Let all replicas and the job succeed."""
        with self._lock:
            state = {"terminated": {"exitCode": 0, "reason": "Completed"}}
            for pod in self.pods.values():
                if pod["metadata"]["ownerReferences"][0]["name"] == name:
                    self._set_state(pod, "Succeeded", state)
            job = self.jobs[name]
            job["status"]["conditions"][-1]["status"] = "False"
            self._condition(job, "Succeeded")

    def _add_pod(self, job: Json, name: str) -> None:
        pod = copy.deepcopy(read("cci/pod-list-response.json")["items"][0])
        meta = job["metadata"]
        owner = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": meta["name"]}
        created = self._stamp(name)
        del pod["metadata"]["labels"]
        pod["metadata"] |= {**created, "ownerReferences": [{**owner, "uid": meta["uid"]}]}
        pod["status"]["containerStatuses"][0]["name"] = "pytorch"
        self._set_state(pod, "Running", {"running": {"startedAt": created["creationTimestamp"]}})
        self.pods[name] = pod
        self.logs.setdefault(name, f"hello from {name}\n")
        event = copy.deepcopy(read("cci/event-list-response.json")["items"][0])
        event["metadata"] |= self._stamp(f"{name}.1")
        event["involvedObject"] |= {"name": name, "uid": pod["metadata"]["uid"]}
        self.events.append(event)

    def _set_state(self, pod: Json, phase: str, state: Json) -> None:
        pod["status"]["phase"] = phase
        pod["status"]["containerStatuses"][0]["state"] = state
        pod["metadata"]["resourceVersion"] = str(next(self._versions))

    def _condition(self, job: Json, kind: str) -> None:
        now = self._stamp("")["creationTimestamp"]
        condition = {"type": kind, "status": "True", "reason": f"PyTorchJob{kind}"}
        times = {"lastUpdateTime": now, "lastTransitionTime": now}
        job["status"].setdefault("conditions", []).append({**condition, **times})
        job["metadata"]["resourceVersion"] = str(next(self._versions))

    def _stamp(self, name: str) -> Json:
        version = next(self._versions)
        created = datetime.fromtimestamp(self.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"f4c79668-adfd-11e9-8041-{version:012d}",
            "resourceVersion": str(version),
            "creationTimestamp": created,
        }

    # -- what is asked ------------------------------------------------------------------------

    def _serve(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/apis":
            return httpx.Response(200, json=self.groups)
        if path == f"/api/v1/namespaces/{NAMESPACE}":
            return httpx.Response(200, json=self.namespace)
        parts = re.fullmatch(
            rf"/(?:api|apis)/([\w./]+)/namespaces/{NAMESPACE}/(\w+)(?:/([a-z0-9.-]+))?(/log)?", path
        )
        served = [group["name"] for group in self.groups["groups"]]
        if parts is None or parts[1].partition("/")[0] not in (*served, "v1"):
            return httpx.Response(404, text="404 page not found\n")
        method = (request.method, parts[2], bool(parts[3]), bool(parts[4]))
        match method:
            case ("POST", "pytorchjobs", False, False):
                return self._create(request)
            case ("GET", "pytorchjobs", True, False):
                self._check_query(request, {"pretty"})
                return httpx.Response(200, json=self._job(parts[3]))
            case ("PATCH", "pytorchjobs", True, False):
                return self._patch(request, parts[3])
            case ("DELETE", "pytorchjobs", True, False):
                return self._delete(request, parts[3])
            case ("GET", "pods", True, True):
                return self._log(request, parts[3])
            case ("GET", "pytorchjobs", False, False):
                return self._list(request, "cci/list-response.json", self.jobs)
            case ("GET", "pods", False, False):
                return self._list(request, "cci/pod-list-response.json", self.pods)
            case ("GET", "events", False, False):
                events = {str(number): event for number, event in enumerate(self.events)}
                return self._list(request, "cci/event-list-response.json", events)
            case ("GET", "networks", False, False):
                return httpx.Response(200, json={"kind": "NetworkList", "items": self.networks})
            case ("POST", "configmaps", False, False):
                self._check_query(request, {"pretty"})
                made = self._body(request, "application/json")
                made["metadata"] |= {**self._stamp(made["metadata"]["name"]), "enable": True}
                self.config_maps[made["metadata"]["name"]] = made
                return httpx.Response(201, json=made)
            case ("GET", "configmaps", True, False):
                return httpx.Response(200, json=self.config_maps[parts[3]])
        raise failure(405, "MethodNotAllowed", f"{method} is not documented")

    def _create(self, request: httpx.Request) -> httpx.Response:
        self._check_query(request, {"pretty"})
        job = self._body(request, "application/json")
        meta, spec = job["metadata"], job["spec"]
        if unknown := spec.keys() - _SPEC:
            raise failure(400, "BadRequest", f"unknown fields {unknown}", "CCI.01.400101")
        if wrong := meta.keys() & {"uid", "resourceVersion", "selfLink", "creationTimestamp"}:
            raise failure(400, "BadRequest", f"set by the system: {wrong}", "CCI.01.400101")
        for replica in spec["pytorchReplicaSpecs"].values():
            for container in replica["template"]["spec"]["containers"]:
                resources = container["resources"]
                assert resources["limits"] == resources["requests"]
        if meta["name"] in self.jobs:
            message = f'pytorchjobs.kubeflow.org "{meta["name"]}" already exists'
            raise failure(409, "AlreadyExists", message)
        stored = {**job, "metadata": {**meta, **self._stamp(meta["name"]), "generation": 1}}
        self.jobs[meta["name"]] = {**stored, "status": {}}
        return httpx.Response(201, json=self.jobs[meta["name"]])

    def _patch(self, request: httpx.Request, name: str) -> httpx.Response:
        self._check_query(request, {"pretty"})
        patch = self._body(request, "application/merge-patch+json")
        job = self._job(name)
        for key, inner in patch.items():
            for field, value in inner.items():
                if (key, field) not in _MUTABLE:
                    raise failure(400, "BadRequest", f"{key}.{field} cannot be changed")
                held = job[key].get(field)
                job[key][field] = {**held, **value} if isinstance(held, dict) else value
        return httpx.Response(200, json=job)

    def _delete(self, request: httpx.Request, name: str) -> httpx.Response:
        self._check_query(request, _DELETION)
        assert request.content == b""
        job = self._job(name)
        del self.jobs[name]
        answer = read("cci/delete-response.json")
        answer["details"] |= {"name": name, "uid": job["metadata"]["uid"]}
        return httpx.Response(200, json=answer)

    def _log(self, request: httpx.Request, name: str) -> httpx.Response:
        self._check_query(request, _LOG)
        if name not in self.pods:
            raise failure(404, "NotFound", f'pods "{name}" not found')
        query = request.url.params
        stamped = [
            (f"2026-11-24T10:00:{second:02}.000000000Z", line)
            for second, line in enumerate(self.logs[name].splitlines(keepends=True))
        ]
        since = query.get("sinceTime", "")[:19]  # whole seconds count
        lines = [
            (f"{stamp} {line}" if query.get("timestamps") == "true" else line).encode()
            for stamp, line in stamped
            if stamp[:19] >= since
        ]
        tail = int(query.get("tailLines", len(lines)))
        self.on_log()
        return httpx.Response(200, content=iter(lines[max(0, len(lines) - tail) :]))

    def _list(self, request: httpx.Request, body: str, there: dict[str, Json]) -> httpx.Response:
        self._check_query(request, _LISTING)
        query = request.url.params
        assert "labelSelector" not in query  # what pods are labelled with is not documented
        items = list(there.values())
        if name := query.get("fieldSelector", "").removeprefix("metadata.name="):
            items = [item for item in items if item["metadata"]["name"] == name]
        if query.get("watch") == "true":
            since = int(query.get("resourceVersion", "0"))
            return httpx.Response(200, content=self._watch(items, since))
        answer = read(body)
        answer["items"] = items
        answer["metadata"]["resourceVersion"] = str(next(self._versions))
        text = json.dumps(answer, indent=2 if query.get("pretty") == "true" else None)
        return httpx.Response(200, text=text)

    def _watch(self, items: list[Json], since: int) -> Iterator[bytes]:
        """Yield for a short while what changes of the items; nothing is held open here."""
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            for item in items:
                version = int(item["metadata"]["resourceVersion"])
                if version > since:
                    since = version
                    yield json.dumps({"type": "MODIFIED", "object": item}).encode() + b"\n"
            time.sleep(0.01)

    def _job(self, name: str) -> Json:
        if name not in self.jobs:
            message = f'pytorchjobs.kubeflow.org "{name}" not found'
            raise failure(404, "NotFound", message)
        return self.jobs[name]

    def _body(self, request: httpx.Request, content_type: str) -> Json:
        if request.headers["Content-Type"] != content_type:
            raise failure(415, "", "unsupported content type", "CCI.02.400103")
        body: Json = json.loads(request.content)
        return body

    def _check_query(self, request: httpx.Request, known: set[str]) -> None:
        if unknown := set(request.url.params) - known:
            raise failure(400, "BadRequest", f"undocumented parameters {unknown}")


def signature(request: httpx.Request, names: list[str], key: str) -> str:
    """Return the signature that `request`, as it was sent, ought to have."""
    path, _, query = request.url.raw_path.decode().partition("?")
    pairs = []
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        assert "+" not in part, "a plus is a space to some servers, and a plus to others"
        pairs.append((quote(unquote(name), safe="~"), quote(unquote(value), safe="~")))
    uri = "".join(f"{quote(unquote(part), safe='~')}/" for part in path.rstrip("/").split("/"))
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
    body = hashlib.sha256(request.content).hexdigest()
    parameters = "&".join(f"{name}={value}" for name, value in sorted(pairs))
    assert names == sorted(names)
    assert "x-sdk-date" in names
    text = "\n".join([request.method, uri, parameters, headers, ";".join(names), body])
    hashed = hashlib.sha256(text.encode()).hexdigest()
    to_sign = f"SDK-HMAC-SHA256\n{request.headers['X-Sdk-Date']}\n{hashed}"
    return hmac.digest(key.encode(), to_sign.encode(), "sha256").hex()


def _shape(value: Any) -> Any:
    """Return the keys of a JSON value, whatever it holds."""
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    return type(value)
