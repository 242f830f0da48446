"""A test session that is killed leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.state import VARIABLE, eventually, processes_with

SESSION = """
import sys
from pathlib import Path
import httpx
from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from tests.local.api import Api, a_job
from tests.guardian import guard
home = Path(sys.argv[1])
guard(home)
endpoint = launcher.ensure_running(Home(home))
headers = {"Authorization": f"Bearer {endpoint.token}"}
api = Api(httpx.Client(base_url=endpoint.url, headers=headers), "default")
api.submit(a_job(code="import time; print('up', flush=True); time.sleep(600)"))
api.wait_log("j-master-0", "up")
print("up", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_session_that_is_killed_leaves_nothing(home: Path, number: int) -> None:
    """Neither its embedded API nor a replica nor the directory."""
    home = home / "of the session"
    command = [sys.executable, "-c", SESSION, str(home)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, cwd=Path(__file__).parents[1]
    ) as session:
        assert session.stdout
        assert session.stdout.readline() == b"up\n"
        session.send_signal(number)
    eventually(lambda: not processes_with(VARIABLE, home))
    eventually(lambda: not home.exists())
