"""What is particular about creating and changing objects of each kind.

Source: the strategies of ``k8s.io/kubernetes`` ``pkg/registry/core`` and the rules of
``pkg/apis/core/validation``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

from pyjob_magic.local.apiserver import admission, metadata
from pyjob_magic.local.apiserver.schema import quote
from pyjob_magic.local.control.dependents import quality_of_service
from pyjob_magic.local.control.podchecks import pod_mistakes
from pyjob_magic.local.control.poddefaults import fill_in
from pyjob_magic.local.objects import Json, is_dns_label, notes
from pyjob_magic.local.resources import (
    CONFIG_MAPS,
    EVENTS,
    JOBS,
    NAMESPACES,
    PODS,
    SECRETS,
    SERVICES,
    Resource,
)
from pyjob_magic.local.status import Cause

_DATA_LIMIT = 1_048_576  # bytes in a ConfigMap or Secret
OWN_NOTES = "pyjob-magic/"  # annotations of pods that are not the user's to change


class Strategy:
    """The rules of a kind, those of metadata aside; by default there are none."""

    def prepare(self, obj: Json) -> None:
        """Fill in what the server fills in."""

    def causes(self, obj: Json) -> Iterable[Cause]:  # noqa: ARG002 - for those who have rules
        """Find what is wrong with an object."""
        return ()

    def causes_of_new(self, obj: Json) -> Iterable[Cause]:  # noqa: ARG002 - as above
        """Find what is wrong with an object only because it is new."""
        return ()

    def changes(self, old: Json, new: Json) -> Iterable[Cause]:  # noqa: ARG002 - as above
        """Find what an update may not change."""
        return ()

    def admit(self, obj: Json) -> None:
        """Do to a new object what others in a cluster would do to it."""

    def deny(self, obj: Json) -> None:
        """Raise 403 for what an admission webhook does not let pass."""

    def warnings(self, obj: Json) -> list[str]:  # noqa: ARG002 - as above
        """Return remarks about an object that may pass."""
        return []


def of(resource: Resource) -> Strategy:
    """Return the strategy of a resource."""
    return _STRATEGIES.get(resource, _ANY)


class _PyTorchJob(Strategy):
    def causes(self, obj: Json) -> Iterable[Cause]:
        return admission.causes(obj)

    def changes(self, old: Json, new: Json) -> Iterable[Cause]:
        return admission.changes(old, new)

    def admit(self, obj: Json) -> None:
        admission.admit(obj)

    def deny(self, obj: Json) -> None:
        admission.deny(obj)

    def warnings(self, obj: Json) -> list[str]:
        return admission.warnings(obj)


class _Pod(Strategy):
    def prepare(self, obj: Json) -> None:
        fill_in(obj["spec"])
        obj["spec"].setdefault("restartPolicy", "Always")
        quality = quality_of_service(obj["spec"])
        obj.setdefault("status", {"phase": "Pending", "qosClass": quality})

    def causes(self, obj: Json) -> Iterator[Cause]:
        spec = obj["spec"]
        if not spec["containers"]:
            yield Cause("spec.containers", "FieldValueRequired", "Required value")
        for index, container in enumerate(spec["containers"]):
            if not container.get("image"):
                field = f"spec.containers[{index}].image"
                yield Cause(field, "FieldValueRequired", "Required value")
        yield from pod_mistakes(spec, spec["restartPolicy"])

    def causes_of_new(self, obj: Json) -> Iterator[Cause]:
        return _forged({}, notes(obj))

    def changes(self, old: Json, new: Json) -> Iterator[Cause]:
        yield from _forged(notes(old), notes(new))
        if old["spec"] != new.get("spec"):
            message = "Forbidden: pod updates may not change the spec of a process that runs"
            yield Cause("spec", "FieldValueForbidden", message)


class _ConfigMap(Strategy):
    def causes(self, obj: Json) -> Iterator[Cause]:
        size = 0
        for field in ("binaryData", "data"):
            for key, value in (obj.get(field) or {}).items():
                size += len(value.encode(errors="surrogatepass"))
                if problem := metadata.config_key(key):
                    yield Cause(f"{field}[{key}]", "FieldValueInvalid", problem)
        if size > _DATA_LIMIT:
            message = f"Too long: may not be more than {_DATA_LIMIT} bytes"
            yield Cause("[]", "FieldValueTooLong", message)

    def changes(self, old: Json, new: Json) -> Iterator[Cause]:
        if not old.get("immutable"):
            return
        message = "Forbidden: field is immutable when `immutable` is set"
        for field in ("immutable", "data", "binaryData"):
            if (new.get(field) or {}) != (old.get(field) or {}):
                yield Cause(field, "FieldValueForbidden", message)


class _Secret(_ConfigMap):
    def prepare(self, obj: Json) -> None:
        obj.setdefault("type", "Opaque")
        if plain := obj.pop("stringData", None):
            encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
            obj["data"] = {**(obj.get("data") or {}), **encoded}

    def changes(self, old: Json, new: Json) -> Iterator[Cause]:
        yield from super().changes(old, new)
        if old.get("type") != new.get("type"):
            yield _immutable("type", new.get("type"))


class _Event(Strategy):
    def prepare(self, obj: Json) -> None:
        now = obj["metadata"]["creationTimestamp"]
        told = {"reason": "", "message": "", "type": "", "source": {}}
        for field, value in (told | {"firstTimestamp": now, "lastTimestamp": now}).items():
            obj.setdefault(field, value)

    def causes(self, obj: Json) -> Iterator[Cause]:
        about = (obj.get("involvedObject") or {}).get("namespace", "")
        if about != obj["metadata"].get("namespace"):
            message = _invalid(about, "does not match event.namespace")
            yield Cause("involvedObject.namespace", "FieldValueInvalid", message)


class _Service(Strategy):
    def changes(self, old: Json, new: Json) -> Iterator[Cause]:
        before, after = ((obj.get("spec") or {}).get("clusterIP") for obj in (old, new))
        if before != after:
            yield _immutable("spec.clusterIP", after)


class _Namespace(Strategy):
    def prepare(self, obj: Json) -> None:
        meta = obj["metadata"]
        meta["labels"] = {
            **(meta.get("labels") or {}),
            "kubernetes.io/metadata.name": meta.get("name", ""),
        }
        obj.setdefault("spec", {"finalizers": ["kubernetes"]})
        obj.setdefault("status", {"phase": "Active"})

    def causes(self, obj: Json) -> Iterator[Cause]:
        name = obj["metadata"].get("name")
        if name and not is_dns_label(name):
            message = _invalid(name, "a lowercase RFC 1123 label is needed")
            yield Cause("metadata.name", "FieldValueInvalid", message)


def _forged(old: dict[str, str], new: dict[str, str]) -> Iterator[Cause]:
    """Find annotations that are not the user's to set: they say which GPUs a pod was given."""
    for key in {*old, *new}:
        if key.startswith(OWN_NOTES) and old.get(key) != new.get(key):
            message = "Forbidden: is set by the embedded API"
            yield Cause(f"metadata.annotations[{key}]", "FieldValueForbidden", message)


def _immutable(field: str, value: object) -> Cause:
    return Cause(field, "FieldValueInvalid", _invalid(value, "field is immutable"))


def _invalid(value: object, message: str) -> str:
    return f"Invalid value: {quote(value)}: {message}"


_ANY = Strategy()
_STRATEGIES: dict[Resource, Strategy] = {
    JOBS: _PyTorchJob(),
    PODS: _Pod(),
    CONFIG_MAPS: _ConfigMap(),
    SECRETS: _Secret(),
    EVENTS: _Event(),
    SERVICES: _Service(),
    NAMESPACES: _Namespace(),
}
