"""`kubectl` as it is installed on this machine, with a home directory of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from starlette.types import ASGIApp

from tests.state import eventually


@dataclass
class Kubectl:
    """Runs `kubectl` against one server, in one namespace."""

    server: str
    home: Path
    namespace: str = "default"

    @classmethod
    def at(cls, server: str, home: Path, namespace: str = "default") -> Kubectl:
        """Return one that keeps its caches in `home`, or skip the test."""
        if shutil.which("kubectl") is None:
            pytest.skip("kubectl is not installed")
        (home / "kubeconfig").touch()
        return cls(server, home, namespace)

    def __call__(self, *args: str, text: str = "") -> str:
        """Return what a command prints; `text` is its standard input."""
        done = self.run(*args, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, *args: str) -> list[list[str]]:
        """Return the words of each line that a command prints."""
        return [line.split() for line in self(*args).splitlines() if line.strip()]

    def run(self, *args: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            ["kubectl", "--server", self.server, "--namespace", self.namespace, *args],
            env={
                "HOME": str(self.home),
                "KUBECONFIG": str(self.home / "kubeconfig"),
                "PATH": os.environ["PATH"],
            },
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
        )


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an application on a port of this machine; yield its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        eventually(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
