"""The operations of a resource, path by path, as OpenAPI documents describe them. Pure."""

from __future__ import annotations

from pyjob_magic.local.apiserver import bodies
from pyjob_magic.local.apiserver.catalogue import subresource_kind, subresource_verbs
from pyjob_magic.local.apiserver.components import meta, reference, sent
from pyjob_magic.local.objects import Json
from pyjob_magic.local.resources import Resource

_METHODS = {
    "list": "get",
    "create": "post",
    "deletecollection": "delete",
    "get": "get",
    "update": "put",
    "patch": "patch",
    "delete": "delete",
}
_OF_COLLECTIONS = ("list", "create", "deletecollection")
_ACTIONS = {"create": "post", "update": "put"}  # what Kubernetes' documents call these verbs
_JSON = "application/json"
_PATCH: Json = {"type": "object"}
_JSON_PATCH: Json = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
            "path": {"type": "string"},
            "from": {"type": "string"},
            "value": {},
        },
    },
}
_PATCHES = {
    "application/apply-patch+yaml": _PATCH,
    "application/json-patch+json": _JSON_PATCH,
    "application/merge-patch+json": _PATCH,
}
_OF_BUILT_IN = {"application/strategic-merge-patch+json": _PATCH}  # not of custom resources
FAILURES = {
    "400": "The request cannot be read.",
    "401": "The token is missing or wrong.",
    "403": "A rule of admission forbids it.",
    "404": "There is no such object.",
    "406": "The answer cannot be had in this form.",
    "409": "The object exists, or is not as the request expects it.",
    "410": "The history does not reach back that far.",
    "413": "The body is too large.",
    "415": "The body is of a type that is not read here.",
    "422": "The object breaks rules.",
    "500": "The object is too large to be stored, or the server has failed.",
}
_ALWAYS = ("400", "401", "403", "404", "406", "500")
_OF_WRITES = ("409", "413", "415", "422")


def paths(resource: Resource) -> Json:
    """Return the paths of a resource with their operations."""
    everywhere = base = f"{resource.root}/{resource.plural}"
    found: Json = {}
    if resource.namespaced:
        base = f"{resource.root}/namespaces/{{namespace}}/{resource.plural}"
        found[everywhere] = {"get": _operation(resource, "list", "ForAllNamespaces")}
    scope = "Namespaced" if resource.namespaced else ""
    for verb, method in _METHODS.items():
        if verb in resource.verbs:
            path = base if verb in _OF_COLLECTIONS else f"{base}/{{name}}"
            found.setdefault(path, _path(path))[method] = _operation(resource, verb, scope)
    for name in resource.subresources:
        path = f"{base}/{{name}}/{name}"
        found[path] = _path(path)
        for verb in subresource_verbs(name):
            found[path][_METHODS[verb]] = _operation(resource, verb, scope, name)
    return found


def _path(path: str) -> Json:
    names = [name for name in _PATH_PARAMETERS if f"{{{name}}}" in path]
    entries = [
        {"name": name, "in": "path", "required": True, **_PATH_PARAMETERS[name]} for name in names
    ]
    return {"parameters": entries} if entries else {}


def _operation(resource: Resource, verb: str, scope: str, subresource: str = "") -> Json:
    group, kind = resource.group, resource.kind
    if subresource:
        group, kind = subresource_kind(resource, subresource)
    words = _tag(resource).title().replace("_", "")
    operation: Json = {
        "operationId": f"{verb}{words}{scope}{resource.kind}{subresource.title()}",
        "tags": [_tag(resource)],
        "parameters": _query(verb, subresource),
        "responses": _responses(verb, group, kind, subresource),
        "x-kubernetes-action": _ACTIONS.get(verb, verb),
        "x-kubernetes-group-version-kind": {"group": group, "version": "v1", "kind": kind},
    }
    if verb in ("create", "update"):
        operation["requestBody"] = _body(
            {media_type: sent(group, kind) for media_type in bodies.OBJECTS}
        )
    elif verb == "patch":
        patches = _PATCHES if resource.custom else {**_PATCHES, **_OF_BUILT_IN}
        operation["requestBody"] = _body(patches)
    elif verb in ("delete", "deletecollection"):
        operation["requestBody"] = _body(
            {media_type: meta("DeleteOptions") for media_type in bodies.OBJECTS}, required=False
        )
    return operation


def _tag(resource: Resource) -> str:
    """Return the group and version as one word, such as ``kubeflow_org_v1``."""
    return f"{resource.group or 'core'}_v1".replace(".", "_")


def _query(verb: str, subresource: str) -> list[Json]:
    names = _LOG if subresource == "log" else _QUERY[verb]
    return [
        {"name": name, "in": "query", "description": sentence, "schema": schema}
        for name in names
        for sentence, schema in [_QUERY_PARAMETERS[name]]
    ]


def _body(content: dict[str, Json], *, required: bool = True) -> Json:
    return {
        "required": required,
        "content": {media_type: {"schema": schema} for media_type, schema in content.items()},
    }


def _responses(verb: str, group: str, kind: str, subresource: str) -> Json:
    failures = [*_ALWAYS, *(() if verb in ("get", "list") else _OF_WRITES)]
    failures += ["410"] if verb == "list" else ["422"] if subresource == "log" else []
    return {
        **_success(verb, group, kind, subresource),
        **{code: {"$ref": f"#/components/responses/{code}"} for code in sorted(failures)},
    }


def _success(verb: str, group: str, kind: str, subresource: str) -> Json:
    if subresource == "log":
        text = {"text/plain": {"schema": {"type": "string"}}}
        return {
            "200": {"description": "What the container has printed.", "content": text},
            "204": {"description": "The container has not started yet."},
        }
    one, many = reference(group, kind), reference(group, f"{kind}List")
    bodies: dict[str, tuple[str, Json]] = {
        "list": ("What there is.", many),
        "create": ("What was created.", one),
        "deletecollection": ("What was deleted.", many),
        "get": ("The object.", one),
        "update": ("The object as it is now.", one),
        "patch": ("The object as it is now.", one),
        "delete": (
            "That it is gone, or the object that is going.",
            {"anyOf": [meta("Status"), one]},
        ),
    }
    sentence, schema = bodies[verb]
    content = {_JSON: {"schema": schema}}
    if verb in ("get", "list"):
        partial = "PartialObjectMetadata" + ("List" if verb == "list" else "")
        content |= {_as(kind): {"schema": meta(kind)} for kind in ("Table", partial)}
    if verb == "list":
        content[f"{_JSON};stream=watch"] = {"schema": meta("WatchEvent")}
    codes = ("200", "201") if verb == "patch" else ("201",) if verb == "create" else ("200",)
    return {code: {"description": sentence, "content": content} for code in codes}


def _as(kind: str) -> str:
    return f"{_JSON};as={kind};g=meta.k8s.io;v=v1"


_STRING: Json = {"type": "string"}
_BOOLEAN: Json = {"type": "boolean"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_ONE_OR_MORE: Json = {"type": "integer", "minimum": 1}
_PATH_PARAMETERS: dict[str, Json] = {
    "namespace": {
        "description": "Where the object is.",
        "schema": {**_STRING, "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
    },
    "name": {
        "description": "The name of the object.",
        "schema": {**_STRING, "maxLength": 253, "pattern": "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"},
    },
}
_QUERY_PARAMETERS: dict[str, tuple[str, Json]] = {
    "allowWatchBookmarks": ("Tell the resourceVersion of a watch from time to time.", _BOOLEAN),
    "container": ("Whose log is meant, if there are several containers.", _STRING),
    "continue": ("Go on where the page with this token has ended.", _STRING),
    "dryRun": ("Try the request and store nothing.", {**_STRING, "enum": ["All"]}),
    "fieldManager": ("Who makes the change.", {**_STRING, "maxLength": 128}),
    "fieldSelector": ("Only objects with these values, such as metadata.name=a.", _STRING),
    "fieldValidation": (
        "What happens to fields that are not known.",
        {**_STRING, "enum": ["Ignore", "Warn", "Strict"]},
    ),
    "follow": ("Stay for what is yet to be printed.", _BOOLEAN),
    "force": ("With apply: take fields that others have set.", _BOOLEAN),
    "gracePeriodSeconds": ("How long the object has to end.", _COUNT),
    "includeObject": (
        "What each row of a table carries along.",
        {**_STRING, "enum": ["None", "Metadata", "Object"]},
    ),
    "labelSelector": ("Only objects with these labels, such as team=a.", _STRING),
    "limit": ("At most so many objects in a page.", _COUNT),
    "limitBytes": ("At most so many bytes.", _ONE_OR_MORE),
    "pretty": ("Indent the answer.", _BOOLEAN),
    "previous": ("The run before the last restart.", _BOOLEAN),
    "propagationPolicy": (
        "What becomes of the objects that this one owns.",
        {**_STRING, "enum": ["Background", "Foreground", "Orphan"]},
    ),
    "resourceVersion": ("Watch from this version on.", _STRING),
    "sendInitialEvents": ("Begin a watch with what there is, and say where that ends.", _BOOLEAN),
    "sinceSeconds": ("Only what was printed in the last seconds.", _ONE_OR_MORE),
    "sinceTime": ("Only what was printed since.", {**_STRING, "format": "date-time"}),
    "stream": ("Which streams; they are one here.", {**_STRING, "enum": ["All"]}),
    "tailLines": ("Only the last lines.", _COUNT),
    "timeoutSeconds": ("End the watch after so long.", _COUNT),
    "timestamps": ("Begin each line with its time.", _BOOLEAN),
    "watch": ("Send each change as it comes.", _BOOLEAN),
}
_SELECT = ("labelSelector", "fieldSelector")
_WRITE = ("dryRun", "fieldManager", "fieldValidation", "pretty")
_REMOVE = ("dryRun", "gracePeriodSeconds", "propagationPolicy", "pretty")
_WATCH = (
    "watch",
    "allowWatchBookmarks",
    "resourceVersion",
    "sendInitialEvents",
    "timeoutSeconds",
)
_LOG = (
    "container",
    "follow",
    "limitBytes",
    "previous",
    "sinceSeconds",
    "sinceTime",
    "stream",
    "tailLines",
    "timestamps",
)
_QUERY = {
    "list": (*_SELECT, "limit", "continue", *_WATCH, "includeObject", "pretty"),
    "create": _WRITE,
    "deletecollection": (*_SELECT, *_REMOVE),
    "get": ("includeObject", "pretty"),
    "update": _WRITE,
    "patch": (*_WRITE, "force"),
    "delete": _REMOVE,
}
