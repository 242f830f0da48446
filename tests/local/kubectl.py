"""`kubectl` as it is on this machine: as a client, and as the one who knows what is right."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]

needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl, which tells what is right, is not installed"
)


@dataclass
class Kubectl:
    """Runs `kubectl` in one namespace, with a home directory of its own."""

    kubeconfig: Path
    home: Path
    namespace: str

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
            ["kubectl", "--namespace", self.namespace, *args],
            env=self.env,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start a command that goes on."""
        command = ["kubectl", "--namespace", self.namespace, *args]
        return subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, text=True)

    @property
    def env(self) -> dict[str, str]:
        """Where its configuration is, and where its caches go."""
        return {
            "HOME": str(self.home),
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": os.environ["PATH"],
        }


def patched(obj: Json, kind: str, patch: Any) -> Json | None:
    """Return what kubectl makes of an object by a patch of type `kind`; None if it refuses."""
    options = ["--local", "--dry-run=client", "--filename=-", "--output=json"]
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            ["kubectl", "patch", *options, "--type", kind, "--patch", json.dumps(patch)],
            input=json.dumps(obj),
            env={**os.environ, "HOME": home, "KUBECONFIG": os.devnull},
            capture_output=True,
            text=True,
            timeout=60,
        )
    return json.loads(done.stdout) if done.returncode == 0 else None
