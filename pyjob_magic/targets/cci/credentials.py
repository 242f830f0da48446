"""What proves to Huawei Cloud who asks: read late, kept in memory only, shown nowhere.

They come from the environment, or as a profile says: from other variables, or from a command.

========================  ==========================================  =============================
credential                variable                                    what for
========================  ==========================================  =============================
``access_key``            ``HUAWEICLOUD_SDK_AK``                      AK/SK signatures, preferred
``secret_key``            ``HUAWEICLOUD_SDK_SK``
``security_token``        ``HUAWEICLOUD_SDK_SECURITY_TOKEN``          with temporary keys only
``token``                 ``OS_TOKEN``                                a token that is there already
``user``                  ``OS_USERNAME``                             tokens from IAM
``password``              ``OS_PASSWORD``
``domain``                ``OS_USER_DOMAIN_NAME``, ``OS_DOMAIN_NAME``  the account that has the user
``project``               ``OS_PROJECT_NAME``                         the region if not said
========================  ==========================================  =============================
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from pyjob_magic.errors import OptionError
from pyjob_magic.targets.access import Access

VARIABLES = {
    "access_key": ("HUAWEICLOUD_SDK_AK",),
    "secret_key": ("HUAWEICLOUD_SDK_SK",),
    "security_token": ("HUAWEICLOUD_SDK_SECURITY_TOKEN",),
    "token": ("OS_TOKEN",),
    "user": ("OS_USERNAME",),
    "password": ("OS_PASSWORD",),
    "domain": ("OS_USER_DOMAIN_NAME", "OS_DOMAIN_NAME"),
    "project": ("OS_PROJECT_NAME",),
}
"""For each credential the environment variables that may hold it, the first one first."""

MARGIN = 300.0
"""Seconds before their end at which credentials are renewed."""

_COMMAND_SECONDS = 60.0


class Secret(str):
    """A text that no representation shows and nothing stores."""

    def __repr__(self) -> str:
        return "'***'"

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError("credentials are not pickled or copied")


@dataclass(frozen=True)
class Keys:
    """Access key and secret key; temporary ones have a security token."""

    access_key: Secret
    secret_key: Secret
    security_token: Secret | None = None


@dataclass(frozen=True)
class Password:
    """An IAM user of an account (domain), and the project that a token is for."""

    user: str
    password: Secret
    domain: str
    project: str


@dataclass(frozen=True)
class Token:
    """A token that somebody else has fetched."""

    value: Secret


Credentials = Keys | Password | Token


class Source:
    """Where credentials are read when they are needed, so that changed ones are seen.

    Parameters
    ----------
    access
        Names the environment variables, or the command; those of `VARIABLES` count else.
    region
        Its project is the one meant if none is said.
    now
        The time, in seconds since 1970.
    """

    def __init__(
        self, access: Access, region: str, *, now: Callable[[], float] = time.time
    ) -> None:
        self._access = access
        self._region = region
        self._now = now
        self._lock = threading.Lock()
        self._printed: _Printed | None = None

    def current(self) -> Credentials:
        """Return the credentials as they are now.

        Raises
        ------
        OptionError
            If there are none, or only the half of them; it says what is missing.
        """
        if self._access.command:
            return choose(self._from_command(), {}, self._region)
        names = dict(self._access.credentials) or _NAMES
        if unknown := names.keys() - VARIABLES.keys():
            raise _refusal(f"credentials: {min(unknown)!r} is none of {', '.join(VARIABLES)}")
        said = {name: _variable(name, variable) for name, variable in names.items()}
        return choose({k: v for k, v in said.items() if v}, names, self._region)

    def forget(self) -> None:
        """Run the command anew next time: what it had printed was refused."""
        with self._lock:
            self._printed = None

    def _from_command(self) -> Mapping[str, str]:
        with self._lock:
            if self._printed is None or self._now() >= self._printed.renewal:
                self._printed = _run(self._access.command, self._now())
            return self._printed.said


def choose(said: Mapping[str, str], names: Mapping[str, str], region: str) -> Credentials:
    """Return the best of the credentials that are `said`: keys, then a token, then a password.

    Parameters
    ----------
    names
        What each one is called where people set it, for messages.

    Raises
    ------
    OptionError
        If there are none, only the half of them, or some that cannot be sent.
    """

    def called(*credentials: str) -> str:
        return " and ".join(names.get(each, each) for each in credentials)

    def half(*whole: str) -> bool:
        missing = [each for each in whole if each not in said]
        if 0 < len(missing) < len(whole):
            there = [each for each in whole if each in said]
            raise _refusal(f"{called(*there)} is set, but {called(*missing)} is not")
        return not missing

    def sent(name: str) -> Secret:
        # Else the HTTP client would show it in its own error.
        if not re.fullmatch(r"[\x21-\x7e]+", said[name]):
            raise _refusal(f"{called(name)} holds characters that no key or token has")
        return Secret(said[name])

    if half("access_key", "secret_key"):
        temporary = sent("security_token") if "security_token" in said else None
        return Keys(sent("access_key"), sent("secret_key"), temporary)
    if "token" in said:
        return Token(sent("token"))
    if half("user", "password", "domain"):
        # Names may be shown: they are plain texts again.
        user, domain, project = said["user"], said["domain"], said.get("project", region)
        return Password(str(user), Secret(said["password"]), str(domain), str(project))
    keys, password = called("access_key", "secret_key"), called("user", "password", "domain")
    raise _refusal(f"no credentials: set {keys}, or {password}")


_NAMES = {credential: variables[0] for credential, variables in VARIABLES.items()}


def _variable(credential: str, name: str) -> Secret | None:
    others = VARIABLES[credential][1:] if name == _NAMES[credential] else ()
    values = (os.environ.get(each) for each in (name, *others))
    return next((Secret(value) for value in values if value), None)


def _refusal(reason: str) -> OptionError:
    return OptionError("--on", f"cci: {reason}")


@dataclass(frozen=True)
class _Printed:
    said: Mapping[str, Secret]
    renewal: float  # when to ask for the next ones, in seconds since 1970


def _run(command: tuple[str, ...], now: float) -> _Printed:
    """Run the command of a profile; what it prints is in no message."""
    program = command[0]
    try:
        ran = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
    except OSError as error:
        raise _refusal(f"the credentials command {program!r}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        reason = f"has not ended after {_COMMAND_SECONDS:g} s"
        raise _refusal(f"the credentials command {program!r} {reason}") from None
    if ran.returncode != 0:
        raise _refusal(
            f"the credentials command {program!r} ended with code {ran.returncode}; "
            "run it in a terminal to see why"
        )
    return _read(program, ran.stdout, now)


def _read(program: str, printed: bytes, now: float) -> _Printed:
    what = f"the credentials command {program!r} must print a JSON object of"
    try:
        wire = json.loads(printed)
        said = {name: Secret(wire[name]) for name in VARIABLES if wire.get(name)}
        expiry = wire.get("expires_at")
        end = datetime.fromisoformat(expiry).timestamp() if expiry else float("inf")
        # Shortly before the end, but not so early that it is always there.
        return _Printed(said, end - min(MARGIN, max(0.0, end - now) / 10))
    except (AttributeError, TypeError, ValueError):
        raise _refusal(f"{what} {', '.join(VARIABLES)} and expires_at (RFC 3339)") from None
