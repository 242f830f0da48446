"""The state directory of the embedded API: one for each user."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyjob_magic.local import private

_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,}")
_FREE_SPACE = "free some space there; jobs that run go on"
_CHOOSE = "make it writable, or let PYJOB_MAGIC_HOME name another"
_ADVICE = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EACCES: _CHOOSE,
    errno.EPERM: _CHOOSE,
    errno.EROFS: _CHOOSE,
    errno.ENOTDIR: "let PYJOB_MAGIC_HOME name another",
    errno.EEXIST: "let PYJOB_MAGIC_HOME name another",
}


def default_path() -> Path:
    """Return where the state lives: ``$PYJOB_MAGIC_HOME``, else below the XDG state directory."""
    if chosen := os.environ.get("PYJOB_MAGIC_HOME"):
        return Path(chosen).expanduser().absolute()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser().absolute() / "pyjob_magic"


@dataclass(frozen=True)
class Home:
    """Paths and small files of one state directory; nobody else may look into it."""

    path: Path

    @classmethod
    def default(cls) -> Home:
        """Return the home of this user."""
        return cls(default_path())

    @property
    def database(self) -> Path:
        """The objects: an SQLite database."""
        return self.path / "state.db"

    @property
    def token_file(self) -> Path:
        """The bearer token, mode 0600."""
        return self.path / "token"

    @property
    def api_file(self) -> Path:
        """Where the API that runs can be reached, mode 0600; locked by it."""
        return self.path / "api.json"

    @property
    def ports_file(self) -> Path:
        """The ports that the API takes if it can."""
        return self.path / "ports.json"

    @property
    def certificates(self) -> Path:
        """Certificates and keys of TLS."""
        return self.path / "tls"

    @property
    def lock(self) -> Path:
        """Locked by the API as long as it lives."""
        return self.path / "lock"

    @property
    def start_lock(self) -> Path:
        """Locked by whoever starts the API, until it answers."""
        return self.path / "start.lock"

    @property
    def log(self) -> Path:
        """What the API prints."""
        return self.path / "api.log"

    @property
    def pods(self) -> Path:
        """One directory for each pod, named by its uid."""
        return self.path / "pods"

    @property
    def keepsakes(self) -> Path:
        """Logs of pods that are gone, one directory for each job."""
        return self.path / "logs"

    def scratch(self, uid: str) -> Path:
        """Return the ``TMPDIR`` of a pod: short, for the path of a socket has 107 bytes at most."""
        return self.path / "tmp" / uid.replace("-", "")[:12]

    def create(self) -> Home:
        """Make the directory, or see to it that it is ours alone, mode 0700; return self.

        Raises
        ------
        NotOursError
            If it belongs to another user.
        """
        private.own_directory(self.path)
        self.pods.mkdir(mode=0o700, exist_ok=True)
        return self

    def token(self) -> str:
        """Return the bearer token; the first API that runs here has made it."""
        return private.read(self.token_file)

    def ensure_token(self) -> str:
        """Return the bearer token; make it first if there is none. Only the API calls this."""
        with suppress(FileNotFoundError):
            if _TOKEN.fullmatch(token := self.token()):
                return token
        private.write(self.token_file, secrets.token_urlsafe(32))
        return self.token()

    def announce(self, endpoint: dict[str, Any]) -> int:
        """Write where the API of this process can be reached.

        It counts as announced as long as the file descriptor that is returned is open.
        """
        return private.write_locked(self.api_file, json.dumps(endpoint))

    def endpoint(self) -> dict[str, Any] | None:
        """Return what an API that lives has announced; None if there is none.

        The announcement and the life of its API are one thing, the lock of one file. So nobody is
        sent to the port of an API that has died, where a stranger may listen by now.
        """
        text = private.read_locked(self.api_file)
        try:
            endpoint = json.loads(text or "null")
        except ValueError:
            return None
        return endpoint if isinstance(endpoint, dict) else None

    def complaint(self, error: OSError) -> str:
        """Return in one line why the directory cannot be used, and what to do."""
        advice = _ADVICE.get(error.errno or 0, "let PYJOB_MAGIC_HOME name one of your own")
        why = error.strerror or str(error)
        return f"cannot use the state directory {self.path}: {why}; {advice}"
