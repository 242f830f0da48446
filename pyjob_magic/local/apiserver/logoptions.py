"""What of a log a request asks for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from pyjob_magic.local.apiserver import query
from pyjob_magic.local.resources import Resource
from pyjob_magic.local.status import Cause, invalid

_OPTIONS = Resource("pods/log", "PodLogOptions")


@dataclass(frozen=True)
class LogOptions:
    """What of a log is asked for, and how.

    Parameters
    ----------
    container
        Which; None for the only one.
    follow
        Whether to wait for what is still to be printed.
    previous
        Whether the run before the last is meant.
    timestamps
        Whether each line begins with its time.
    since
        Leave out lines from before this time, in ns since the epoch.
    tail_lines, limit_bytes
        Begin with so many last lines; end after so many bytes.
    """

    container: str | None = None
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since: int | None = None
    tail_lines: int | None = None
    limit_bytes: int | None = None

    @classmethod
    def parse(cls, params: Mapping[str, str], pod: str) -> LogOptions:
        """Read the query parameters of a request for the log of `pod`.

        Raises
        ------
        StatusError
            400 for what cannot be read, 422 for values that are not allowed.
        """
        tail, limit = query.integer(params, "tailLines"), query.integer(params, "limitBytes")
        seconds, since = query.integer(params, "sinceSeconds"), query.time(params, "sinceTime")
        if causes := _causes(tail, limit, seconds, since, params.get("stream")):
            raise invalid(_OPTIONS, pod, causes)
        if seconds is not None:
            since = time.time_ns() - seconds * 1_000_000_000
        return cls(
            container=params.get("container") or None,
            follow=query.flag(params, "follow"),
            previous=query.flag(params, "previous"),
            timestamps=query.flag(params, "timestamps"),
            since=since,
            tail_lines=tail,
            limit_bytes=limit,
        )


def _causes(
    tail: int | None, limit: int | None, seconds: int | None, since: int | None, stream: str | None
) -> list[Cause]:
    """Return what is not allowed.

    Source: Kubernetes ``pkg/apis/core/validation`` ``ValidatePodLogOptions``.
    """
    causes = []
    if tail is not None and tail < 0:
        causes.append(_cause("tailLines", tail, "must be greater than or equal to 0"))
    if limit is not None and limit < 1:
        causes.append(_cause("limitBytes", limit, "must be greater than 0"))
    if seconds is not None and since is not None:
        why = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(Cause("", "FieldValueForbidden", why))
    elif seconds is not None and seconds < 1:
        causes.append(_cause("sinceSeconds", seconds, "must be greater than 0"))
    if stream not in (None, "", "All"):
        # Both streams go into one file, as with an API server without PodLogsQuerySplitStreams.
        causes.append(Cause("stream", "FieldValueForbidden", "Forbidden: may not be specified"))
    return causes


def _cause(field: str, value: int, rule: str) -> Cause:
    return Cause(field, "FieldValueInvalid", f"Invalid value: {value}: {rule}")
