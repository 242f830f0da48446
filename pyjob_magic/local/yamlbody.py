"""YAML as Kubernetes reads it: what JSON can say, and nothing else."""

from __future__ import annotations

from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _JsonLoader(_Loader):  # type: ignore[misc] # which of the two it is depends on the machine
    """No times, which are strings here; no aliases, with which few bytes become a lot."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not accepted")
        return super().compose_node(parent, index)


_JsonLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


def load(body: bytes) -> Any:
    """Return the value of one YAML document.

    Raises
    ------
    ValueError
        If it is none, or holds what JSON has no word for.
    """
    try:
        return yaml.load(body, _JsonLoader)  # noqa: S506 - a safe loader with less in it
    except (yaml.YAMLError, TypeError, OverflowError) as error:
        raise ValueError(str(error)) from None
