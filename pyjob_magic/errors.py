"""Every exception of the package.

::

    PyJobError
    ├── OptionError            an option of the magic has a value that cannot be
    ├── SettingsError          a file of settings, or a variable, says what cannot be
    ├── SourceError            the code cannot travel or is no plain Python
    ├── ManifestError          a manifest (a file, an object) is not a PyTorchJob
    ├── TargetError            the target cannot be reached or started
    ├── ApiError               the API answered with an error; keeps its Status
    │   ├── UnauthorizedError  401
    │   ├── ForbiddenError     403
    │   ├── NotFoundError      404
    │   ├── ExistsError        409, reason AlreadyExists
    │   ├── ConflictError      409, any other reason
    │   ├── GoneError          410
    │   └── InvalidError       400, 413, 415, 422
    ├── JobFailedError         a job that was waited for has failed
    ├── JobTimeoutError        a job that was waited for has not ended in time (also a TimeoutError)
    ├── EndedError             the job has ended, so that this cannot be done to it
    ├── HistoryError           what is kept of jobs of before cannot be read
    └── DetachedError          somebody has interrupted what was waited for; jobs go on
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class PyJobError(Exception):
    """Base of every error here; a notebook shows it without a traceback."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows instead of a traceback."""
        return f"{type(self).__name__}: {self}".splitlines()


class OptionError(PyJobError):
    """An option of the magic, or a field of the panel, has a value that cannot be.

    Parameters
    ----------
    option
        The option as it is typed, such as ``--memory``; ``NAME`` for the name.
    reason
        Why, and what to do.
    """

    def __init__(self, option: str, reason: str) -> None:
        super().__init__(f"{option}: {reason}")
        self.option = option
        self.reason = reason


class SettingsError(PyJobError):
    """A file of settings, or a variable, says what cannot be.

    Parameters
    ----------
    problems
        A line for each: the file and the key, or the variable, and why.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class SourceError(PyJobError):
    """The code cannot travel or is no plain Python.

    Parameters
    ----------
    reason
        Why, and what to do; goes on after "the cell".
    line
        Line of the code, counted from 1; None for all of it.
    """

    def __init__(self, reason: str, *, line: int | None = None) -> None:
        super().__init__(f"line {line} of the cell {reason}" if line else f"the cell {reason}")
        self.reason = reason
        self.line = line


class ManifestError(PyJobError):
    """A manifest is not a PyTorchJob; the message names the field."""


class TargetError(PyJobError):
    """The target cannot be reached or started."""

    sent = False  # whether a request may have reached it, so that it may have been carried out
    passing = False  # whether it may be over in a moment, as when a connection is cut


class ApiError(PyJobError):
    """The API answered a request with an error.

    Parameters
    ----------
    action
        What was asked, such as ``create PyTorchJob 'mnist'``.
    message
        The server's own words.
    target
        Name of the target that answered.
    code
        HTTP status code.
    reason
        The Status body's ``reason``, such as ``AlreadyExists``; empty if there was no Status.
    details
        The Status body's ``details``: name, kind and causes.
    error_code
        The server's own code, finer than `code`, such as ``CCI.01.403101``.
    request_id
        What the server's support asks for.
    hint
        What to do, where that is known better than of all errors of this class.
    """

    hint = ""  # what to do, where the server's words do not say it
    resent = False  # whether the request was sent before, and may have been carried out then
    retry_after: float | None = None  # seconds that the server wants to be left alone
    by_option: Mapping[str, str] = {}  # what it says of each option, as it is typed

    def __init__(
        self,
        action: str,
        message: str,
        *,
        target: str,
        code: int,
        reason: str = "",
        details: Mapping[str, Any] | None = None,
        error_code: str = "",
        request_id: str = "",
        hint: str = "",
    ) -> None:
        super().__init__()
        self.hint = hint or self.hint
        self.action = action
        self.message = message
        self.target = target
        self.code = code
        self.reason = reason
        self.details = dict(details or {})
        self.error_code = error_code
        self.request_id = request_id
        self.explain(message)

    def explain(self, reason: str) -> None:
        """Say `reason` in place of the server's message, which stays in `message`."""
        codes = f"{self.code}, {self.error_code}" if self.error_code else f"{self.code}"
        request = f"request {self.request_id}" if self.request_id else ""
        told = "; ".join(filter(None, [reason, self.hint, request]))
        self.args = (f"{self.target} refused to {self.action} ({codes}): {told}",)


class UnauthorizedError(ApiError):
    """401: the credentials were not accepted."""

    hint = "check the credentials of this target"


class ForbiddenError(ApiError):
    """403: not allowed, over a quota, or denied by the operator's webhook."""


class NotFoundError(ApiError):
    """404: no such object, or no such API on this server."""


class ExistsError(ApiError):
    """409: the namespace already holds an object of this name."""

    hint = "choose another name, or delete that one first"


class ConflictError(ApiError):
    """409: the object has changed in between."""


class GoneError(ApiError):
    """410: the resourceVersion is too old to watch from."""


class InvalidError(ApiError):
    """400, 413, 415 or 422: the request is malformed or the object invalid."""


class JobFailedError(PyJobError):
    """A job that was waited for has failed.

    Parameters
    ----------
    job
        Name of the PyTorchJob.
    reason
        Why, in the operator's words.
    summary, advice
        What happened, such as ``worker-1 exited with code 1``, and what to do, where it is known.
    replica
        The replica that failed first, such as ``worker-1``; None if none is known.
    exit_code
        What its process returned; 128 + n after signal n.
    log
        The end of its log.
    traceback
        Where its program failed, as Python printed it.
    cell_line
        The line of the cell where it did, counted from that of the magic.
    """

    def __init__(
        self,
        job: str,
        reason: str,
        *,
        summary: str = "",
        advice: str = "",
        replica: str | None = None,
        exit_code: int | None = None,
        log: str = "",
        traceback: str = "",
        cell_line: int | None = None,
    ) -> None:
        told = "; ".join(filter(None, [summary or reason, advice]))
        super().__init__(f"PyTorchJob {job!r} failed: {told}")
        self.job = job
        self.reason = reason
        self.replica = replica
        self.exit_code = exit_code
        self.log = log
        self.traceback = traceback
        self.cell_line = cell_line

    def _render_traceback_(self) -> list[str]:
        lines = super()._render_traceback_()
        if self.traceback:
            lines += [f"Traceback of {self.replica}:", *self.traceback.splitlines()]
        elif self.log:
            lines += [f"End of the log of {self.replica}:", *self.log.splitlines()]
        return lines


class JobTimeoutError(PyJobError, TimeoutError):
    """A job that was waited for has not ended in time; it goes on."""


class EndedError(PyJobError):
    """The job has ended, so that this cannot be done to it."""


class HistoryError(PyJobError):
    """What is kept of jobs of before cannot be read."""


class DetachedError(PyJobError):
    """Somebody has interrupted what was waited for, such as the end of a job; jobs go on."""
