"""What a place knows that may be said of a job: names to choose from, and how much is left.

Whoever fills in a form is never kept waiting. What is refused, slow or makes no sense is left out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import partial
from typing import Any

from pyjob_magic import settings
from pyjob_magic.checks import allocatable, gpus, used_of
from pyjob_magic.connection import Connection
from pyjob_magic.errors import UnauthorizedError
from pyjob_magic.looks import Looks
from pyjob_magic.models import Pod
from pyjob_magic.options import CellOptions, options
from pyjob_magic.quantity import people
from pyjob_magic.targets import NAMES, contexts

Tell = Callable[[str, list[str]], None]
Find = Callable[[], Iterable[Any]]
Offer = tuple[str, Find]

_SECONDS = 2.0  # for each answer
_THREAD = "pyjob-offer"
_PRIORITIES = "/apis/scheduling.k8s.io/v1/priorityclasses"
_OF_EVERYBODY = "kube-root-ca.crt"
"""A ConfigMap that each namespace has. Source: kube-controller-manager, ``rootcacertpublisher``."""


def look(connection: Connection, tell: Tell) -> Callable[[], None]:
    """Find out what may be said at a place; return a function to end that.

    Parameters
    ----------
    connection
        The place.
    tell
        Is told a field of `CellOptions` and all that is known for it, whenever that is more than
        before, in whatever thread finds it; one at a time, and never after the end.
    """
    looking = _Looking(connection, tell)
    looking.start()
    return looking.close


def left(connection: Connection) -> list[dict[str, str]]:
    """Return of each resource how much is `left`, and `of` how much: of the quota, or here.

    Where nothing limits a namespace, or nobody tells, there are none.
    """
    target = connection.client.target
    looks = Looks(target, connection.namespace, _SECONDS)
    found: dict[str, tuple[Decimal, Decimal]] = {}
    try:
        amounts = _of_machine(looks) if target.name == "local" else _of_quotas(looks)
        for resource, free, whole in amounts:
            if resource not in found or free < found[resource][0]:
                found[resource] = (free, whole)
    except Exception:
        return []
    finally:
        looks.close()
    return [
        {"resource": name, "left": people(name, max(free, Decimal())), "of": people(name, whole)}
        for name, (free, whole) in found.items()
    ]


def _of_machine(looks: Looks) -> Iterator[tuple[str, Decimal, Decimal]]:
    """Yield what the node of the embedded API has left beside what its pods hold."""
    pods = [Pod.from_wire(item) for item in looks.items("/api/v1/pods")]
    holding = [pod.spec.asked for pod in pods if _holds(pod)]
    for node in looks.nodes():
        for resource, amount in allocatable(node).items():
            held = sum((asked.get(resource, Decimal()) for asked in holding), Decimal())
            yield resource, amount.value - held, amount.value


def _holds(pod: Pod) -> bool:
    return bool(pod.spec.node_name) and pod.status.phase not in ("Succeeded", "Failed")


def _of_quotas(looks: Looks) -> Iterator[tuple[str, Decimal, Decimal]]:
    """Yield what each ResourceQuota leaves; requests and limits of a job are the same."""
    for quota in looks.quotas():
        spec = quota.get("spec") or {}
        if spec.get("scopes") or spec.get("scopeSelector"):
            continue  # it is not for every pod
        for name, used, limit in used_of(quota):
            resource = name.removeprefix("requests.").removeprefix("limits.")
            yield resource, limit.value - used.value, limit.value


class _Looking:
    """Looks in as many threads as there is to look at."""

    def __init__(self, connection: Connection, tell: Tell) -> None:
        self._connection = connection
        self._tell = tell
        self._looks = Looks(connection.client.target, connection.namespace, _SECONDS)
        self._known: dict[str, list[str]] = {}
        self._lock = threading.RLock()  # who is told may end it
        self._closed = False
        self._running = 0

    def start(self) -> None:
        """Begin with all at once, where a target does not lock out who has a wrong key."""
        first, *others = self._there()
        if self._connection.client.target.examine is None:
            self._begin(*self._nearby(), first, *others)
        else:
            self._begin(*self._nearby(), (first[0], partial(self._knock, first[1], others)))

    def close(self) -> None:
        """Tell nothing any more."""
        with self._lock:
            self._closed = True

    def _begin(self, *offers: tuple[str, Find]) -> None:
        with self._lock:
            self._running += len(offers)
        for field, find in offers:
            threading.Thread(
                target=self._run, args=(field, find), name=_THREAD, daemon=True
            ).start()

    def _run(self, field: str, find: Find) -> None:
        found: list[Any] = []
        with suppress(Exception):
            found = [each for each in find() if _fits(field, each)]
        try:
            self._found(field, found)
        finally:
            with self._lock:
                self._running -= 1
                if not self._running:
                    self._looks.close()

    def _found(self, field: str, found: list[str]) -> None:
        with self._lock:
            known = self._known.setdefault(field, [])
            new = [text for text in dict.fromkeys(found) if text not in known]
            if new and not self._closed:
                known += new
                self._tell(field, [*known])

    # -- what there is ------------------------------------------------------------------------

    def _nearby(self) -> list[Offer]:
        """Return what this machine knows."""
        access = self._connection.profile.access
        return [
            ("on", lambda: NAMES),
            ("context", lambda: contexts(access)),
            ("profile", lambda: settings.read().names),
        ]

    def _there(self) -> list[Offer]:
        """Return what the target may know."""
        looks = self._looks
        return [
            ("namespace", lambda: _names(looks.metadata("/api/v1/namespaces"))),
            ("queue", lambda: _names(queue["metadata"] for queue in looks.queues() or ())),
            ("mounts", lambda: _volumes("pvc", looks.metadata("persistentvolumeclaims"))),
            ("mounts", lambda: _volumes("configmap", looks.metadata("configmaps"))),
            ("pull_secrets", looks.pull_secrets),
            ("service_account", lambda: _names(looks.metadata("serviceaccounts"))),
            ("priority_class", lambda: _for_users(_names(looks.metadata(_PRIORITIES)))),
            ("gpu_resource", lambda: (name for node in looks.nodes() for name in gpus(node))),
        ]

    def _knock(self, first: Find, others: list[Offer]) -> Iterable[Any]:
        """Look for the others if the first look does not show that nobody is let in."""
        try:
            found = [*first()]
        except UnauthorizedError:
            return []
        except Exception:
            found = []
        self._begin(*others)
        return found


def _names(found: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [each["name"] for each in found]


def _for_users(classes: Iterable[str]) -> list[str]:
    """Return the priority classes that are not the cluster's own."""
    return [name for name in classes if not name.startswith("system-")]


def _volumes(kind: str, found: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return volumes as they are typed, up to the path; what belongs to something is no offer."""
    free = (each["name"] for each in found if not each.get("ownerReferences"))
    return [f"{kind}:{name}:/" for name in free if name != _OF_EVERYBODY]


def _fits(field: str, text: Any) -> bool:
    """Whether the form would take what is offered."""
    option = options(CellOptions)[field]
    whole = f"{text}path" if field == "mounts" else text
    try:
        option.read([whole] if option.repeat else whole)
    except ValueError:
        return False
    return isinstance(text, str)
