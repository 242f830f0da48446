"""The annotation in which ``kubectl apply`` keeps what it has applied from the client's side.

It makes the way to ``kubectl apply --server-side`` free of conflicts, and the way back.

Source: ``k8s.io/apimachinery`` ``pkg/util/managedfields/internal/lastappliedmanager.go`` and
``lastappliedupdater.go``.
"""

from __future__ import annotations

import json
from typing import Any

from pyjob_magic.local.apiserver.fields import NONE, Fields
from pyjob_magic.local.apiserver.structure import canonical
from pyjob_magic.local.apiserver.typed import claimed, compare
from pyjob_magic.local.objects import Json

MANAGER = "kubectl-client-side-apply"
_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
_LONGEST = 262_144  # bytes that an object may have of annotations


def kept(schema: Json, obj: Json) -> Fields:
    """Return the fields of `obj` that kubectl has set and nobody has changed since.

    With them the annotation itself; none if there is none, or it makes no sense.
    """
    try:
        last = json.loads(_annotations(obj).get(_ANNOTATION, ""))
    except (RecursionError, TypeError, ValueError):
        return NONE
    if not isinstance(last, dict):
        return NONE
    noted = claimed(schema, {"metadata": {"annotations": {_ANNOTATION: ""}}})
    return noted | (compare(schema, {}, last).added - compare(schema, last, obj).any)


def refreshed(obj: Json, applied: Json) -> Json:
    """Return `obj` with what was just applied in its annotation, if it has one and that fits."""
    if not _annotations(obj).get(_ANNOTATION):
        return obj
    text = canonical(_without_annotation(applied)) + "\n"
    if len(text.encode(errors="surrogatepass")) > _LONGEST:
        return _without_annotation(obj)
    return _annotated(obj, {**_annotations(obj), _ANNOTATION: text})


def _without_annotation(obj: Json) -> Json:
    if _ANNOTATION not in _annotations(obj):
        return obj
    others = {key: note for key, note in _annotations(obj).items() if key != _ANNOTATION}
    return _annotated(obj, others)


def _annotated(obj: Json, annotations: Json) -> Json:
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def _annotations(obj: Json) -> dict[str, Any]:
    return obj.get("metadata", {}).get("annotations") or {}
