"""The forms in which a client may want objects: as they are, as a table, or their metadata. Pure.

Source: ``k8s.io/apiserver/pkg/endpoints/handlers/response.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyjob_magic.local.apiserver.accept import Form, choose, not_acceptable
from pyjob_magic.local.apiserver.tables import columns, row
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import Resource
from pyjob_magic.local.status import bad_request

_TABLE, _ONE, _MANY = "Table", "PartialObjectMetadata", "PartialObjectMetadataList"
_FORMS = {
    Form("meta.k8s.io", version, kind)
    for version in ("v1", "v1beta1")
    for kind in (_TABLE, _ONE, _MANY)
}
_INCLUDE = ("None", "Metadata", "Object")


@dataclass(frozen=True)
class View:
    """The form in which a request wants its answer.

    Parameters
    ----------
    form
        A form of ``meta.k8s.io``; None for objects as they are.
    include
        What each row of a table carries along: None, Metadata or Object.
    """

    form: Form | None = None
    include: str = "Metadata"

    @classmethod
    def asked_for(cls, accept: str, params: Mapping[str, str]) -> View:
        """Return what the ``Accept`` header and the query of a request ask for.

        Raises
        ------
        StatusError
            406 if nothing that is named can be had; 400 if rows shall carry an unknown part.
        """
        form, include = choose(accept, _FORMS), params.get("includeObject") or "Metadata"
        if form and form.kind == _TABLE and include not in _INCLUDE:
            raise bad_request(f'unrecognized includeObject value: "{include}"')
        return cls(form, include)

    def of(self, resource: Resource, body: Json, now: float) -> Json:
        """Return an answer about `resource`, an object, a list or a Status, in this form.

        Raises
        ------
        StatusError
            406, if a list is wanted as one object or an object as a list.
        """
        if self.form is None or body["kind"] == "Status":
            return body
        if self.form.kind == _TABLE:
            return self._table(resource, body, now, columns(resource))
        if (self.form.kind == _MANY) != ("items" in body):
            raise not_acceptable(
                f"you requested {self.form.kind}, but the answer is a {body['kind']}"
            )
        return self._metadata_of_all(body) if self.form.kind == _MANY else self._metadata(body)

    def events(self, resource: Resource) -> Callable[[Json, float], Json] | None:
        """Return what brings the objects of one watch into this form; None for as they are.

        The first table names the columns, those that follow do not.

        Raises
        ------
        StatusError
            406, if lists are wanted.
        """
        if self.form is None:
            return None
        if self.form.kind == _MANY:
            raise not_acceptable(f"you requested {_MANY}, but a watch sends single objects")
        if self.form.kind == _ONE:
            return lambda obj, now: self.of(resource, obj, now)
        untold = [columns(resource)]
        return lambda obj, now: self._table(resource, obj, now, untold.pop() if untold else None)

    def _table(
        self, resource: Resource, body: Json, now: float, definitions: list[Json] | None
    ) -> Json:
        single = [body] if "name" in body["metadata"] else []  # a bookmark is about no object
        return {
            **self._head(_TABLE),
            "metadata": _list_metadata(body),
            "columnDefinitions": definitions,
            "rows": [
                row(resource, obj, now) | self._included(resource, obj)
                for obj in body.get("items", single)
            ],
        }

    def _included(self, resource: Resource, obj: Json) -> Json:
        if self.include == "None":
            return {}
        if self.include == "Metadata":
            return {"object": self._metadata(obj)}
        return {"object": {"kind": resource.kind, "apiVersion": resource.api_version, **obj}}

    def _metadata_of_all(self, body: Json) -> Json:
        items = [self._metadata(obj) for obj in body["items"]]
        return {**self._head(_MANY), "metadata": _list_metadata(body), "items": items}

    def _metadata(self, obj: Json) -> Json:
        return {**self._head(_ONE), "metadata": obj["metadata"]}

    def _head(self, kind: str) -> Json:
        assert self.form is not None
        return {"kind": kind, "apiVersion": f"{self.form.group}/{self.form.version}"}


def _list_metadata(body: Json) -> Json:
    """Return what a list says of itself, or an object as if it were one."""
    names = ("resourceVersion", "continue", "remainingItemCount")
    return {name: body["metadata"][name] for name in names if body["metadata"].get(name)}
