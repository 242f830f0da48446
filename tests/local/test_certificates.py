"""TLS: a certificate that clients can verify, made once and renewed in time."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import ssl
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from pyjob_magic.local import launcher
from pyjob_magic.local.certificates import Certificates
from pyjob_magic.local.home import Home
from tests.local.api import Api, a_job
from tests.state import VARIABLE

DAY = 86_400.0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "tls"


def aged(file: Path, days: float) -> bytes:
    """Make a file that old; return what is in it."""
    then = time.time() - days * DAY
    os.utime(file, (then, then))
    return file.read_bytes()


def kubeconfig(home: Home) -> dict[str, Any]:
    env = {**os.environ, VARIABLE: str(home.path)}
    command = [sys.executable, "-m", "pyjob_magic.cli", "kubeconfig"]
    printed = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    config: dict[str, Any] = yaml.safe_load(printed.stdout)
    return config


def verifying(config: dict[str, Any]) -> ssl.SSLContext:
    """Return what trusts the authority of a kubeconfig, and nothing else."""
    authority = config["clusters"][0]["cluster"]["certificate-authority-data"]
    context = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def test_keys_are_for_us_alone(directory: Path) -> None:
    Certificates(directory).ensure()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()} == {0o600}


def test_they_are_made_once(directory: Path) -> None:
    """However many ask for them at the same time."""
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: Certificates(directory).authority(), range(8)))
    assert len(found) == 1
    assert Certificates(directory).authority() in found


def test_no_key_is_handed_out(directory: Path) -> None:
    authority = Certificates(directory).authority()
    assert authority.count("-----BEGIN") == 1
    assert "CERTIFICATE" in authority
    assert "KEY" not in authority


@pytest.mark.parametrize("days", [300, -3])
def test_a_certificate_is_renewed_before_its_end_and_the_authority_stays(
    directory: Path, days: float
) -> None:
    """Also one from the future: a clock that went wrong has been put right."""
    certificates = Certificates(directory)
    authority = certificates.authority()
    aged(directory / "authority.pem", max(days, 0))
    old = aged(directory / "server.pem", days)
    first = asyncio.run(certificates.context())
    assert (directory / "server.pem").read_bytes() != old
    assert certificates.authority() == authority
    assert asyncio.run(certificates.context()) is first


def test_what_a_power_failure_has_emptied_is_made_again(directory: Path) -> None:
    Certificates(directory).ensure()
    (directory / "authority.pem").write_text("")
    assert "-----BEGIN CERTIFICATE-----" in Certificates(directory).authority()


def test_nothing_is_renewed_without_need(directory: Path) -> None:
    Certificates(directory).ensure()
    aged(directory / "authority.pem", 2000)
    old = aged(directory / "server.pem", 200)
    Certificates(directory).ensure()
    assert (directory / "server.pem").read_bytes() == old


def test_a_new_authority_certifies_anew(directory: Path) -> None:
    certificates = Certificates(directory)
    authority = certificates.authority()
    aged(directory / "authority.pem", 3000)
    old = aged(directory / "server.pem", 1)
    assert certificates.authority() != authority
    assert (directory / "server.pem").read_bytes() != old


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_strict_client_can_verify_the_api(own_home: Home, host: str) -> None:
    config = kubeconfig(own_home)
    url = config["clusters"][0]["cluster"]["server"].replace("127.0.0.1", host)
    headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
    with httpx.Client(verify=verifying(config), headers=headers, base_url=url) as http:
        api = Api(http, "default")
        api.submit(a_job(code="print('over TLS')"))
        api.wait("j", "Succeeded")
        assert api.log("j-master-0") == "over TLS\n"


def test_another_state_directory_is_not_trusted(own_home: Home, directory: Path) -> None:
    config = kubeconfig(own_home)
    context = ssl.create_default_context(cadata=Certificates(directory).authority())
    url = config["clusters"][0]["cluster"]["server"]
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(url + "/version", verify=context)


def test_a_certificate_is_renewed_while_the_api_runs(own_home: Home) -> None:
    config = kubeconfig(own_home)
    url = config["clusters"][0]["cluster"]["server"]
    context = verifying(config)
    assert httpx.get(url + "/version", verify=context).status_code == 401
    old = aged(own_home.certificates / "server.pem", 300)
    aged(own_home.certificates / "authority.pem", 300)
    assert httpx.get(url + "/version", verify=context).status_code == 401
    assert (own_home.certificates / "server.pem").read_bytes() != old


def test_a_kubeconfig_outlives_the_api(own_home: Home) -> None:
    config = kubeconfig(own_home)
    launcher.stop(own_home)
    launcher.ensure_running(own_home)
    assert kubeconfig(own_home) == config


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists what a process has mapped")
def test_the_api_does_without_what_makes_certificates(own_home: Home) -> None:
    """It weighs 7 MB; `pyjob-magic kubeconfig` has it for as long as it runs."""
    config = kubeconfig(own_home)
    url = config["clusters"][0]["cluster"]["server"]
    assert httpx.get(url + "/version", verify=verifying(config)).status_code == 401
    running = launcher.status(own_home)
    assert running
    assert "cryptography" not in Path(f"/proc/{running.pid}/maps").read_text()


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_is_let_in(own_home: Home, tmp_path: Path) -> None:
    """With nothing but what `pyjob-magic kubeconfig` prints."""
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(kubeconfig(own_home)))
    env = {**os.environ, "KUBECONFIG": str(file), "HOME": str(tmp_path)}

    def kubectl(*words: str) -> Any:
        done = subprocess.run(["kubectl", *words], env=env, capture_output=True, check=True)
        return json.loads(done.stdout)

    assert kubectl("get", "--raw", "/version")["minor"] == "32"
    assert kubectl("get", "pytorchjobs", "-o", "json")["items"] == []
