"""What is served, group by group: the one list behind discovery, OpenAPI and the reviews."""

from __future__ import annotations

from functools import partial
from itertools import groupby

from pyjob_magic.local.resources import STORED, Resource

_REVIEW = partial(Resource, verbs=("create",), namespaced=False)
ACCESS_REVIEWS = _REVIEW(
    "selfsubjectaccessreviews", "SelfSubjectAccessReview", "authorization.k8s.io"
)
RULES_REVIEWS = _REVIEW("selfsubjectrulesreviews", "SelfSubjectRulesReview", "authorization.k8s.io")
SUBJECT_REVIEWS = _REVIEW("selfsubjectreviews", "SelfSubjectReview", "authentication.k8s.io")
REVIEWS = (ACCESS_REVIEWS, RULES_REVIEWS, SUBJECT_REVIEWS)


def groups() -> dict[str, list[Resource]]:
    """Return the resources of each group by plural; the core comes first and has no name."""
    served = sorted((*STORED, *REVIEWS), key=lambda resource: (resource.group, resource.plural))
    by_group = groupby(served, key=lambda resource: resource.group)
    return {group: list(resources) for group, resources in by_group}


def subresource_verbs(name: str) -> list[str]:
    """Return what can be done with a subresource."""
    return ["get"] if name == "log" else ["get", "patch", "update"]


def subresource_kind(resource: Resource, name: str) -> tuple[str, str]:
    """Return the group and the kind of a subresource's body; the version is always v1."""
    return ("autoscaling", "Scale") if name == "scale" else (resource.group, resource.kind)
