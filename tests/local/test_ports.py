"""Ports: the same again at each start, unless somebody else has them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from pyjob_magic.local.ports import listen
from tests.state import VARIABLE


def ports_of(memory: Path) -> tuple[tuple[int, int], tuple[int, ...]]:
    """Listen for a moment; return the ports, and those that were lost."""
    found = listen(memory)
    with closing(found.plain), closing(found.secure):
        return found.ports, found.lost


def run(home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, VARIABLE: str(home.path)}
    command = [sys.executable, "-m", "pyjob_magic.cli", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True)


def test_the_ports_are_taken_again(tmp_path: Path) -> None:
    first, lost = ports_of(tmp_path / "ports.json")
    assert len(set(first)) == 2
    assert ports_of(tmp_path / "ports.json") == (first, lost) == (first, ())


def test_a_port_with_connections_of_before_is_taken_again(tmp_path: Path) -> None:
    """The system remembers connections that we have closed for a minute."""
    memory = tmp_path / "ports.json"
    found = listen(memory)
    ports = found.ports
    with closing(found.plain), closing(found.secure):
        client = socket.create_connection(found.plain.getsockname())
        server, _ = found.plain.accept()
        server.close()
        client.close()
    assert ports_of(memory) == (ports, ())


def test_a_port_that_somebody_has_is_replaced_for_good(tmp_path: Path) -> None:
    memory = tmp_path / "ports.json"
    (plain, secure), _ = ports_of(memory)
    with closing(socket.create_server(("127.0.0.1", secure))):
        (same, other), lost = ports_of(memory)
        assert (same, lost) == (plain, (secure,))
        assert other != secure
    assert ports_of(memory) == ((plain, other), ())


@pytest.mark.parametrize("text", ["", "[]", "[1]", '["a", 70000]', "[-1, true]", "{}", "[1, 2, 3]"])
def test_what_is_no_port_is_not_asked_for(tmp_path: Path, text: str) -> None:
    memory = tmp_path / "ports.json"
    memory.write_text(text)
    ports, _ = ports_of(memory)
    assert ports_of(memory)[0] == ports


def test_who_has_a_kubeconfig_is_told_of_a_lost_port(own_home: Home) -> None:
    launcher.ensure_running(own_home)
    before = launcher.status(own_home)
    launcher.stop(own_home)
    assert before
    port = int(before.secure_url.rpartition(":")[2])
    with closing(socket.create_server(("127.0.0.1", port))):
        launcher.ensure_running(own_home)
        message = f"Another program listens on port {port}, where the embedded API was before"
        assert message in run(own_home, "kubeconfig").stderr
        assert message in run(own_home, "status").stderr
