"""Requests and answers: the one place that turns httpx's errors and Status bodies into ours.

A request whose answer is lost is sent again where that does no harm, with pauses that grow, and
whoever waits is told. Nothing here knows PyTorchJobs.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from pyjob_magic import errors, trust, unlogged
from pyjob_magic.models import Status
from pyjob_magic.retries import TRYING_AGAIN, Hope
from pyjob_magic.streams import Streams, log
from pyjob_magic.target import Target

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_SHORTEST_SECRET = 8  # characters; what is shorter may be a word of the answer
_SKEW = 300.0  # seconds by which clocks may differ where credentials are dated

unlogged.keep_out("httpcore.socks", "auth=")  # name and password for a proxy


class Rest:
    """Sends requests to one target.

    Parameters
    ----------
    target
        Where they go.
    notify
        Is told when a request has to be sent again.
    insist
        Whether a request is sent again at all.
    clock, sleep
        Seconds since some moment, and how to let them pass.
    """

    def __init__(
        self,
        target: Target,
        notify: Callable[[str], None] = log.warning,
        *,
        insist: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.target = target
        self._clock = clock
        self._sleep = sleep
        self._insist = insist
        self.notify = notify
        self._has_answered = False
        self._http = httpx.Client(
            base_url=target.base_url,
            auth=target.auth,
            transport=target.transport,
            # Each log that is followed has a connection of its own, and there is no telling of how
            # many replicas: httpx would let the hundred-and-first wait for the others to end.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            timeout=TIMEOUT,
            headers={"Accept": "application/json", "User-Agent": "pyjob-magic"},
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, action: str, method: str, path: str, **content: Any) -> Any:
        """Send a request and return the JSON object that came back.

        Parameters
        ----------
        action
            What is asked, for messages: goes on after "asked to".
        content
            As `httpx.Client.build_request` takes it, and `streams` for requests of a reader.

        Raises
        ------
        ApiError
            If the server refuses; `ApiError.resent` tells whether an answer before was lost.
        TargetError
            If there is no answer.
        """
        response = self.send(action, method, path, **content)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            return answer
        raise errors.ApiError(
            action,
            f"the answer is no JSON object but {response.text[:80]!r}; is this a Kubernetes API?",
            target=self.target.name,
            code=response.status_code,
        )

    def send(
        self,
        action: str,
        method: str,
        path: str,
        *,
        streams: Streams | None = None,
        **content: Any,
    ) -> httpx.Response:
        """Send a request and return the whole answer; see `ask`."""
        return self._persist(action, method, path, content, streams, stream=False)

    @contextlib.contextmanager
    def stream(
        self, action: str, path: str, streams: Streams, **content: Any
    ) -> Iterator[httpx.Response]:
        """Open a stream and lend the answer, of which only the head has been read; see `ask`."""
        response = self._persist(action, "GET", path, content, streams, stream=True)
        with streams.opened(response):
            try:
                yield response
            except _FAILURES as error:
                raise self._silence(action, error, response.request) from error

    def _persist(
        self,
        action: str,
        method: str,
        path: str,
        content: dict[str, Any],
        streams: Streams | None,
        *,
        stream: bool,
    ) -> httpx.Response:
        """Send a request until it is answered, or until there is no hope."""
        notify, sleep = (streams.notify, streams.sleep) if streams else (self.notify, self._sleep)
        hope = Hope(patient=self._has_answered)
        started = self._clock()
        while True:
            # Built anew each time: credentials, and the URL of a target that moves, change.
            try:
                request = self._http.build_request(method, path, **content)
            except httpx.InvalidURL as error:
                raise self._silence(action, error) from error
            try:
                response = self._once(action, request, stream=stream)
                self._has_answered = True
                if method != "GET":  # else they would come again with every look
                    for remark in _REMARK.findall(response.headers.get("Warning", "")):
                        notify(f"{self.target.full_name} remarks: {remark}")
                return response
            except (errors.TargetError, errors.ApiError) as error:
                self._has_answered |= isinstance(error, errors.ApiError)
                pause = hope.pause_after(error, self._clock() - started)
                if pause is None or not self._insist or (streams and streams.closed):
                    if isinstance(error, errors.ApiError):
                        error.resent = hope.lost
                    raise
                if hope.attempts == 1:
                    notify(f"{error}{TRYING_AGAIN}")
                sleep(pause)

    def _once(self, action: str, request: httpx.Request, *, stream: bool) -> httpx.Response:
        try:
            response = self._http.send(request, stream=stream)
            if not response.is_success:
                response.read()
        except _FAILURES as error:
            # Where a header cannot be sent, the error quotes it, and it may be a credential.
            cause = None if _is_illegal_header(error) else error
            raise self._silence(action, error, request) from cause
        if response.is_success:
            return response
        response.close()
        text = _without_credentials(response.text, request)
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        hint = _clock_hint(response) if response.status_code == 401 else ""
        refusal = self.refused(action, response.status_code, body, text, hint=hint)
        refusal.retry_after = _seconds(response.headers.get("Retry-After"))
        raise refusal

    def refused(
        self, action: str, code: int, body: Any, text: str = "", *, hint: str = ""
    ) -> errors.ApiError:
        """Return the error for a Status body, or for whatever else was answered."""
        status = Status.read(body)
        error_code = status.error_code or ""
        kind: Callable[..., errors.ApiError] = _KINDS.get(code, errors.ApiError)
        if code == 409 and status.reason == "AlreadyExists":
            kind = errors.ExistsError
        return kind(
            action,
            status.message or text.strip()[:200] or f"HTTP {code}",
            target=self.target.name,
            code=code,
            reason=status.reason or "",
            details=status.details,
            error_code=error_code,
            request_id=status.request_id or "",
            hint=hint or self.target.hints.get(error_code, ""),
        )

    def _silence(
        self, action: str, error: Exception, request: httpx.Request | None = None
    ) -> errors.TargetError:
        distrust = trust.explain(error)
        reason = distrust or str(error) or type(error).__name__
        if _is_illegal_header(error):
            reason = "a header, such as that of the credentials, holds what cannot be sent"
        if isinstance(error, httpx.ProxyError):
            reason = f"the proxy on the way says {reason}"
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)) and not distrust:
            reason = f"no connection to {error.request.url.netloc.decode()}: {reason}"
        elsewhere = False
        if isinstance(error, httpx.RequestError) and error.request is not request:
            # At whoever gives out tokens, before anything was asked.
            elsewhere, reason = True, f"{error.request.url.host}: {reason}"
        silence = errors.TargetError(
            f"{self.target.full_name} did not answer when asked to {action}: {reason}"
        )
        lasting = distrust or _is_illegal_header(error) or isinstance(error, _NO_ADDRESS)
        silence.passing = not lasting
        # What was never sent cannot have been done.
        silence.sent = not (lasting or elsewhere or isinstance(error, _NEVER_SENT))
        return silence


def _without_credentials(text: str, request: httpx.Request) -> str:
    """Return what was answered without what was sent to prove who we are: gateways repeat it."""
    for header in ("Authorization", "X-Auth-Token", "X-Security-Token"):
        for part in re.split(r"[\s,=]+", request.headers.get(header, "")):
            if len(part) >= _SHORTEST_SECRET:
                text = text.replace(part, "(hidden)")
    return text


def _seconds(retry_after: str | None) -> float | None:
    """Read the seconds of a ``Retry-After`` header; dates, which no API server sends, are none."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else None


def _is_illegal_header(error: Exception) -> bool:
    return isinstance(error, httpx.LocalProtocolError) and str(error).startswith("Illegal header")


# What API servers remark, each as: 299 - "text". Source: ``k8s.io/apiserver`` warning.
_REMARK = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


def _clock_hint(response: httpx.Response) -> str:
    """Return what to say of clocks that differ too much for dated credentials, else nothing."""
    try:
        ahead = time.time() - parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return ""
    if abs(ahead) <= _SKEW:
        return ""
    where = "ahead of" if ahead > 0 else "behind"
    return f"the clock of this machine is {abs(ahead) / 60:.0f} min {where} the server's: set it"


# What is garbled on its way is as good as lost; a stream may be closed while it is read.
_FAILURES = (httpx.RequestError, httpx.StreamError)
_NO_ADDRESS = (httpx.InvalidURL, httpx.UnsupportedProtocol)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)

_KINDS: dict[int, type[errors.ApiError]] = {
    400: errors.InvalidError,
    401: errors.UnauthorizedError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    409: errors.ConflictError,
    410: errors.GoneError,
    413: errors.InvalidError,
    415: errors.InvalidError,
    422: errors.InvalidError,
}
