"""The state directory of the embedded API: one for each user."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
        """Where the API that runs can be reached, mode 0600."""
        return self.path / "api.json"

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
        """Make the directory, mode 0700; return self."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.path.stat().st_mode & 0o077:
            self.path.chmod(0o700)
        self.pods.mkdir(mode=0o700, exist_ok=True)
        return self

    def token(self) -> str:
        """Return the bearer token; the first API that runs here has made it."""
        return self.token_file.read_text()

    def ensure_token(self) -> str:
        """Return the bearer token; make it first if there is none. Only the API calls this."""
        if not self.token_file.exists():
            self._write(self.token_file, secrets.token_urlsafe(32))
        return self.token()

    def announce(self, url: str, version: str) -> None:
        """Write where the API of this process can be reached."""
        endpoint = {"url": url, "pid": os.getpid(), "version": version}
        self._write(self.api_file, json.dumps(endpoint))

    def endpoint(self) -> dict[str, Any] | None:
        """Return what was announced last, or None; its API may have died since."""
        try:
            endpoint = json.loads(self.api_file.read_text())
        except (OSError, ValueError):
            return None
        return endpoint if isinstance(endpoint, dict) else None

    def _write(self, path: Path, text: str) -> None:
        new = path.with_name(f".{path.name}.{os.getpid()}")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text)
        new.replace(path)
