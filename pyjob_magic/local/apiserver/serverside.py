"""Server-side apply: merge what a manager wants into an object, and know who owns what.

An object carries ``managedFields`` from its first apply on. The fields that are there by then
belong to the manager ``before-first-apply``, but for those that kubectl has applied from the
client's side; from then on updates are tracked, too. So it was in Kubernetes before it began to
track objects from their creation.

Source: ``sigs.k8s.io/structured-merge-diff`` ``merge/update.go``; ``k8s.io/apimachinery``
``pkg/util/managedfields/internal``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyjob_magic.local.apiserver import lastapplied, managers
from pyjob_magic.local.apiserver.fields import NONE, Fields, text
from pyjob_magic.local.apiserver.managers import APPLY, UPDATE, Claim, Claims, Manager
from pyjob_magic.local.apiserver.schema import prune, validate
from pyjob_magic.local.apiserver.structure import copied, same
from pyjob_magic.local.apiserver.typed import (
    Changes,
    claimed,
    compare,
    merge,
    misfits,
    with_named,
    without,
)
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import Resource
from pyjob_magic.local.status import StatusError, bad_request

_BEFORE = "before-first-apply"
_KUBECTL = "kubectl"  # as it calls itself for server-side apply
_IDENTITY = ("name", "namespace", "uid", "resourceVersion")
_SERVER_SET = ("creationTimestamp", "generation", "managedFields", "selfLink")
_IT = Fields(True)
_NOBODYS = Fields(
    False,
    {
        "f:apiVersion": _IT,
        "f:kind": _IT,
        "f:metadata": Fields(True, {f"f:{key}": _IT for key in (*_IDENTITY, *_SERVER_SET)}),
    },
)


@dataclass(frozen=True)
class FieldManager:
    """Someone who changes an object, at some time.

    Parameters
    ----------
    name
        What they call themselves.
    resource
        What the object is.
    schema
        What the object looks like.
    now
        The time, in seconds since the epoch.
    subresource
        The part that they change, such as ``status``; empty for all but that.
    """

    name: str
    resource: Resource
    schema: Json
    now: float
    subresource: str = ""

    def apply(self, live: Json | None, applied: Any, *, force: bool = False) -> Json:
        """Return `live` with what is applied; the very same object if that changes nothing.

        What this manager applied before and does not apply now is removed, unless someone else
        owns it. Nothing that is passed in is changed.

        Parameters
        ----------
        live
            What there is; None if the object is to be created.
        applied
            What was sent; a null counts as absent.
        force
            Whether fields are taken from managers that want other values.

        Raises
        ------
        StatusError
            400 for what cannot be applied, 409 for conflicts with other managers.
        """
        wanted = self._wanted(applied)
        mine = claimed(self.schema, wanted)
        base = _bare(live)
        claims = self._stored(live) or self._before_first_apply(base)
        new = without(self.schema, merge(self.schema, base, wanted), self._dropped(claims, mine))
        changes = compare(self.schema, base, new)
        if not force:
            self._refuse_conflicts(claims, changes, base)
        claims = self._reclaimed(claims, changes, mine)
        if self.name == _KUBECTL:
            new = lastapplied.refreshed(new, wanted)
        return settled(live, _with_claims(new, claims))

    def update(self, old: Json | None, new: Json) -> Json:
        """Return `new`, which is to replace `old`, with the ``managedFields`` that it must have.

        What is changed or added belongs to this manager, what is removed to nobody. An object
        without ``managedFields`` gets none. Those that `new` brings along replace those of `old`
        unless they are malformed; an empty list, or an empty entry in it, removes them.
        """
        claims = self._sent_or_stored(old, new)
        bare = _bare(new)
        if not claims:
            return bare
        changes = compare(self.schema, _bare(old), bare)
        claims = managers.disown(claims, changes.any)
        if mine := self._owned(changes.taken):
            me = self._as(UPDATE, self.name)
            claims[me] = Claim(mine | claims.get(me, Claim(NONE)).fields, self.now)
        return _with_claims(bare, managers.capped(claims))

    def _wanted(self, applied: Any) -> Json:
        """Return what is applied, without what cannot be changed here, or raise 400."""
        self._check_kind(applied)
        wanted: Json = copied(applied)
        undeclared = prune(self.schema, wanted)
        problems = [
            *(f".{path}: field not declared in schema" for path in undeclared),
            *_wrong_types(self.schema, wanted),
            *misfits(self.schema, wanted),
        ]
        if problems:
            raise self._untyped(applied["metadata"], problems)
        if not self.subresource:
            return {key: value for key, value in wanted.items() if f"f:{key}" != self._elsewhere}
        meta = {key: wanted["metadata"][key] for key in _IDENTITY if key in wanted["metadata"]}
        kept = ("apiVersion", "kind", self.subresource)
        return {key: wanted[key] for key in kept if key in wanted} | {"metadata": meta}

    def _check_kind(self, applied: Any) -> None:
        if not isinstance(applied, dict):
            raise bad_request("error decoding YAML: what is applied must be an object")
        version, kind = applied.get("apiVersion"), applied.get("kind")
        if (version, kind) != (self.resource.api_version, self.resource.kind):
            raise bad_request(f"invalid object type: {version}, Kind={kind}")
        meta = applied.get("metadata")
        if not isinstance(meta, dict):
            raise bad_request(f"{kind} cannot be handled: metadata must be an object")
        if meta.get("managedFields") is not None:
            raise bad_request("metadata.managedFields must be nil")

    def _untyped(self, meta: Json, problems: list[str]) -> StatusError:
        which = f"{meta.get('namespace', '')}/{meta.get('name', '')}"
        kind = f"{self.resource.api_version}, Kind={self.resource.kind}"
        lines = problems if len(problems) == 1 else ["errors:", *(f"  {one}" for one in problems)]
        return bad_request(
            f"failed to create typed patch object ({which}; {kind}): " + "\n".join(lines)
        )

    def _dropped(self, claims: Claims, mine: Fields) -> Fields:
        """Return what this manager applied before, and nobody wants now."""
        last = claims.get(self._applier, Claim(NONE)).fields
        owned = managers.owned({**claims, self._applier: Claim(mine)})
        return with_named(self.schema, last) - with_named(self.schema, owned)

    def _refuse_conflicts(self, claims: Claims, changes: Changes, base: Json) -> None:
        """Raise 409 if fields of other managers changed."""
        taken = changes.taken
        if self.name == _KUBECTL:
            taken -= lastapplied.kept(self.schema, base)
        conflicts = [
            (manager, text(path))
            for manager in sorted(claims)
            if manager != self._applier
            for path in (claims[manager].fields & taken).paths()
        ]
        if conflicts:
            raise _conflict(conflicts)

    def _reclaimed(self, claims: Claims, changes: Changes, mine: Fields) -> Claims:
        """Return who owns what after an apply."""
        others = {manager: claim for manager, claim in claims.items() if manager != self._applier}
        kept = managers.disown(others, changes.any)
        return kept | ({self._applier: Claim(own, self.now)} if (own := self._owned(mine)) else {})

    def _stored(self, obj: Json | None) -> Claims:
        """Return the claims that an object carries; none if they are malformed."""
        entries = obj["metadata"].get("managedFields") if obj else None
        try:
            return managers.read(entries, self.resource.api_version)
        except ValueError:
            return {}

    def _sent_or_stored(self, old: Json | None, new: Json) -> Claims:
        if self.subresource:
            return self._stored(old)
        if new["metadata"].get("managedFields") in ([], [{}]):
            return {}
        return self._stored(new) or self._stored(old)

    def _before_first_apply(self, base: Json) -> Claims:
        """Return the claims to an object that carries none."""
        there = self._owned(compare(self.schema, {}, base).added)
        by_kubectl = there & lastapplied.kept(self.schema, base)
        fields = {_BEFORE: there - by_kubectl, lastapplied.MANAGER: by_kubectl}
        return {self._as(UPDATE, name): Claim(own, self.now) for name, own in fields.items() if own}

    def _owned(self, fields: Fields) -> Fields:
        """Leave out what nobody owns, and what is changed elsewhere."""
        below = {key: part for key, part in fields.below.items() if key != self._elsewhere}
        return Fields(False, below) - _NOBODYS

    @property
    def _elsewhere(self) -> str:
        """The path element of what is changed through another endpoint; empty if nothing is."""
        if self.subresource:
            return "f:spec"
        return "f:status" if "status" in self.resource.subresources else ""

    @property
    def _applier(self) -> Manager:
        return self._as(APPLY, self.name)

    def _as(self, operation: str, name: str) -> Manager:
        return Manager(name, operation, self.resource.api_version, self.subresource)


def settled(old: Json | None, new: Json) -> Json:
    """Return `old` if all that `new` changes is when its managers last took something."""
    return old if old is not None and same(_timeless(old), _timeless(new)) else new


def _wrong_types(schema: Json, obj: Json) -> Iterator[str]:
    for cause in validate(schema, obj):
        if cause.reason == "FieldValueTypeInvalid":
            yield f".{cause}"


def _conflict(conflicts: list[tuple[Manager, str]]) -> StatusError:
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": field}
        for manager, field in conflicts
    ]
    return StatusError(409, "Conflict", _conflict_message(conflicts), {"causes": causes})


def _conflict_message(conflicts: list[tuple[Manager, str]]) -> str:
    if len(conflicts) == 1:
        manager, field = conflicts[0]
        return f"Apply failed with 1 conflict: conflict with {manager}: {field}"
    lines = []
    for manager in dict.fromkeys(manager for manager, _ in conflicts):
        lines.append(f"conflicts with {manager}:")
        lines += [f"- {field}" for owner, field in conflicts if owner == manager]
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)


def _bare(obj: Json | None) -> Json:
    """Return an object without its ``managedFields``; an empty one if there is none."""
    if obj is None:
        return {}
    meta = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": meta}


def _with_claims(obj: Json, claims: Claims) -> Json:
    if not claims:
        return obj
    return {**obj, "metadata": {**obj["metadata"], "managedFields": managers.write(claims)}}


def _timeless(obj: Json) -> Json:
    entries = obj["metadata"].get("managedFields")
    if not isinstance(entries, list):
        return obj
    timeless = [entry | {"time": None} if isinstance(entry, dict) else entry for entry in entries]
    return {**obj, "metadata": {**obj["metadata"], "managedFields": timeless}}
