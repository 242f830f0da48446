"""Fixtures: a CCI that is not there, and credentials for it in the environment."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyjob_magic.targets.cci import credentials, regions
from tests.targets.cci import server as cci
from tests.targets.cci.server import CciServer

Login = Callable[..., None]


@pytest.fixture
def server() -> CciServer:
    return CciServer()


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have credentials of their own."""
    for variables in (*credentials.VARIABLES.values(), regions.VARIABLES, ("OS_AUTH_URL",)):
        for variable in variables:
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HUAWEICLOUD_SDK_REGION", "cn-north-4")


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an access key into the environment."""
    monkeypatch.setenv("HUAWEICLOUD_SDK_AK", cci.ACCESS_KEY)
    monkeypatch.setenv("HUAWEICLOUD_SDK_SK", cci.SECRET_KEY)


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put an IAM user into the environment."""
    monkeypatch.setenv("OS_USERNAME", cci.USER)
    monkeypatch.setenv("OS_PASSWORD", cci.PASSWORD)
    monkeypatch.setenv("OS_USER_DOMAIN_NAME", cci.DOMAIN)
