"""Pod templates and patches: how a job gets what no option says."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from pyjob_magic.errors import OptionError
from pyjob_magic.models import PodTemplateSpec, first_problem

Wire = dict[str, Any]

# What tells the entries of a list apart. Source: ``patchMergeKey`` in ``k8s.io/api/core/v1``.
_KEYS = {
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
}
_RETAINED = ("volumes",)  # their entries are replaced: a volume of two kinds is none


def parse(option: str, text: str, file: str = "") -> Wire:
    """Read a JSON object, written as JSON or YAML.

    Raises
    ------
    OptionError
        If it is none; the message names the `option`, and the `file` if there is one.
    """
    place = f"{file}: " if file else ""
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # the latter for dates that there are not
        reason = " ".join(str(error).split())
        raise OptionError(option, f"{place}neither YAML nor JSON: {reason}") from None
    if not isinstance(found, dict):
        hint = "" if file else "; write @FILE for a file"
        raise OptionError(option, f"{place}{text.strip()[:40]!r} is no object{hint}")
    return found


def pod_template(wire: Mapping[str, Any], *, training: str) -> Wire:
    """Return the pod template that a template, the spec of a pod, or a whole Pod stands for.

    Parameters
    ----------
    wire
        What was given.
    training
        Name of the container that trains; an only container gets it.

    Raises
    ------
    OptionError
        If it is none of them, or does not tell which of its containers trains.
    """
    kind = wire.get("kind", "Pod")
    if kind == "PodTemplate":
        wire = wire.get("template") or {}
    elif kind != "Pod":
        raise _no_template(f"a {kind} is none: give a Pod, a pod template or the spec of a pod")
    if "spec" not in wire:
        if "kind" in wire or "metadata" in wire:
            raise _no_template("it has no spec")
        wire = {"spec": wire}
    given, meta = wire["spec"], wire.get("metadata")
    if not isinstance(given, dict) or not isinstance(meta or {}, dict):
        raise _no_template("spec and metadata must be objects")
    spec = {**copy.deepcopy(given), "containers": copy.deepcopy(given.get("containers") or [])}
    _name_the_training_one(spec["containers"], training)
    kept = {key: meta[key] for key in ("labels", "annotations") if key in meta} if meta else {}
    template = {"metadata": kept, "spec": spec} if kept else {"spec": spec}
    try:
        PodTemplateSpec.from_wire(template)
    except ValidationError as error:
        raise _no_template(first_problem(error, "it")) from None
    return template


def _name_the_training_one(containers: Any, training: str) -> None:
    if not isinstance(containers, list) or not all(isinstance(each, dict) for each in containers):
        raise _no_template("spec.containers must be a list of objects")
    if len(containers) == 1:
        containers[0]["name"] = training
    names = [each.get("name") for each in containers]
    if names and training not in names:
        known = ", ".join(map(str, names))
        raise _no_template(f"none of its containers ({known}) is {training!r}, which trains")


def _no_template(reason: str) -> OptionError:
    return OptionError("--pod-template", reason)


def merge_template(target: Any, template: Any) -> Any:
    """Return `target` with a pod template merged in: lists of named entries merge by name."""
    return _merge(target, template, "", _join)


def merge_patch(target: Any, patch: Any) -> Any:
    """Return `target` with a merge patch applied: lists are replaced. Source: RFC 7386."""
    return _merge(target, patch, "", lambda _, new, __: copy.deepcopy(new))


def _merge(old: Any, new: Any, key: str, lists: Callable[[Any, list[Any], str], Any]) -> Any:
    if isinstance(new, list):
        return lists(old, new, key)
    if not isinstance(new, dict):
        return new
    merged = dict(old) if isinstance(old, dict) else {}
    for name, value in new.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value, name, lists)
    return merged


def _join(old: Any, new: list[Any], field: str) -> list[Any]:
    """Merge two lists by what tells their entries apart; else the new one replaces."""
    key = _KEYS.get(field, "name")
    entries = [*old, *new] if isinstance(old, list) else new
    if not all(isinstance(entry, dict) and key in entry for entry in entries):
        return copy.deepcopy(new)
    by_key: dict[Any, Any] = {}
    for entry in entries:
        before = {} if field in _RETAINED else by_key.get(entry[key], {})
        by_key[entry[key]] = _merge(before, entry, "", _join)
    return list(by_key.values())
