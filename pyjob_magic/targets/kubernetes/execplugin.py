"""Exec plugins: programs that print credentials, such as those of the clouds.

A plugin runs once for all threads, and again when its credential expires or is refused.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from pyjob_magic.errors import TargetError
from pyjob_magic.streams import log
from pyjob_magic.targets.kubernetes.bearer import Flow, header
from pyjob_magic.targets.kubernetes.execcredential import VERSIONS, ExecCredential
from pyjob_magic.targets.kubernetes.kubeconfig import Exec
from pyjob_magic.targets.kubernetes.renewal import Renewal

TIMEOUT = 180.0
"""Seconds that a plugin may take: some wait for a person who logs in with a browser."""
_QUIET = 3.0  # seconds after which what it says is passed on: where to log in, with which code
_SECRET = re.compile(r"eyJ[\w-]+\.[\w.-]+|(?i:bearer|token|secret|password)[ =:]+\S+|[\w+=-]{32,}")


@dataclass(frozen=True)
class Plugin:
    """A credential plugin of a user.

    Parameters
    ----------
    program
        What the kubeconfig says about it.
    user
        Name of the user, for messages.
    info
        Returns ``KUBERNETES_EXEC_INFO``; is told whether the plugin may ask questions.
    timeout
        Seconds that it may take.
    """

    program: Exec
    user: str
    info: Callable[[bool], str]
    timeout: float = TIMEOUT

    def run(self) -> ExecCredential:
        """Run it and return the credential that it prints.

        Raises
        ------
        TargetError
            If it cannot be run, fails, takes too long or prints no credential.
        """
        if self.program.api_version not in VERSIONS:
            known = " and ".join(VERSIONS)
            raise self._error(f"{self.program.api_version} is not supported, but {known} are")
        interactive = self._interactive()
        process = self._start(interactive)
        with process:
            try:
                printed, said = self._wait(process)
            except BaseException as error:
                _kill(process, group=not interactive)
                if isinstance(error, subprocess.TimeoutExpired):
                    raise self._error(f"it has not ended after {self.timeout:g} s") from None
                raise
        if process.returncode:
            raise self._failure(process.returncode, said or b"")
        try:
            return ExecCredential.parse(printed, self.program.api_version, datetime.now(UTC))
        except ValueError as error:
            raise self._error(f"it printed {error}") from None

    def _interactive(self) -> bool:
        mode, terminal = self.program.interactive_mode, sys.__stdin__
        has_terminal = terminal is not None and not terminal.closed and terminal.isatty()
        if mode == "Always" and not has_terminal:
            raise self._error(
                "it wants to ask for something (interactiveMode: Always), but there is no "
                "terminal; log in with it in a terminal, or use another user"
            )
        return has_terminal and mode != "Never"

    def _start(self, interactive: bool) -> subprocess.Popen[bytes]:
        program = shutil.which(self.program.command)
        if program is None:
            there = Path(self.program.command).exists()
            reason = "it is not executable" if there else "it is not installed"
            hint = self.program.install_hint or "install it, or correct command in the kubeconfig"
            raise self._error(f"{reason}; {hint}")
        try:
            return subprocess.Popen(
                [program, *self.program.args],
                env={
                    **os.environ,
                    **self.program.env,
                    "KUBERNETES_EXEC_INFO": self.info(interactive),
                },
                stdin=None if interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=None if interactive else subprocess.PIPE,
                # What it starts has to end with it; but only this session has the terminal.
                start_new_session=not interactive,
            )
        except OSError as error:
            raise self._error(f"it cannot be run: {error.strerror}") from None

    def _wait(self, process: subprocess.Popen[bytes]) -> tuple[bytes, bytes | None]:
        """Wait for its end; pass on what it says if that takes long."""
        deadline, told = time.monotonic() + self.timeout, 0
        while True:
            left = deadline - time.monotonic()
            try:
                return process.communicate(timeout=min(_QUIET, left))
            except subprocess.TimeoutExpired as waiting:
                if left <= _QUIET:
                    raise
                said = waiting.stderr or b""
                lines, told = said[told : said.rfind(b"\n") + 1], said.rfind(b"\n") + 1
                if lines.strip():
                    log.warning("%s says: %s", Path(self.program.command).name, _harmless(lines))

    def _failure(self, code: int, said: bytes) -> TargetError:
        lines = [line for line in _harmless(said).splitlines() if line.strip()]
        words = f": {lines[-1].strip()}" if lines else ""
        error = self._error(f"it failed with exit code {code}{words}")
        error.passing = True  # the server that it asks may be away
        return error

    def _error(self, reason: str) -> TargetError:
        name = Path(self.program.command).name
        return TargetError(f"credential plugin {name!r} of user {self.user!r}: {reason}")


class ExecAuth(httpx.Auth):
    """Sends what a plugin prints; where that is refused, what it prints next, once.

    Parameters
    ----------
    run
        Returns a new credential, as `Plugin.run` does.
    present
        Shows a client certificate, with its key, to the server from now on.
    source
        What runs, for messages.
    """

    def __init__(
        self,
        run: Callable[[], ExecCredential],
        present: Callable[[bytes, bytes, str], None],
        source: str,
    ) -> None:
        self._run = run
        self._present = present
        self._source = source
        self._renewal = Renewal(self._fetch, _is_good)

    def auth_flow(self, request: httpx.Request) -> Flow:
        """Add the credential to `request`."""
        credential = self._renewal.current()
        self._add(credential, request)
        response = yield request
        if response.status_code == 401:
            self._add(self._renewal.current(refused=credential), request)
            yield request

    def _add(self, credential: ExecCredential, request: httpx.Request) -> None:
        if credential.token:
            request.headers["Authorization"] = header(credential.token, self._source)
        else:
            request.headers.pop("Authorization", None)

    def _fetch(self) -> ExecCredential:
        credential = self._run()
        if credential.certificate:
            certificate, key = credential.certificate.encode(), credential.key.encode()
            self._present(certificate, key, f"the client certificate of {self._source}")
        return credential


def _is_good(credential: ExecCredential) -> bool:
    return credential.renewal is None or datetime.now(UTC) < credential.renewal


def _harmless(said: bytes) -> str:
    """Return what a plugin has said without what may be a secret."""
    return _SECRET.sub("(hidden)", said.decode(errors="replace")).strip()


def _kill(process: subprocess.Popen[bytes], *, group: bool) -> None:
    """End a plugin; with its `group`, also what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL) if group else process.kill()
