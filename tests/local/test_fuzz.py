"""Every route, with what the published documents allow and with what they do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok

from pyjob_magic.local.apiserver import catalogue
from pyjob_magic.local.apiserver.openapi import describe
from pyjob_magic.local.home import Home
from pyjob_magic.local.launcher import Endpoint, ensure_running, status
from tests.state import temporary_home

EXAMPLES = 10  # for each operation
LONGEST = 10  # seconds for an answer
quick = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def operations() -> Iterator[Any]:
    """Yield all operations of all documents."""
    for resources in catalogue.groups().values():
        schema = schemathesis.openapi.from_dict(describe(resources))
        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            yield pytest.param(operation, id=f"{operation.method.upper()} {operation.path}")


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[tuple[Home, Endpoint]]:
    """Lend an embedded API that nobody else uses."""
    with temporary_home() as path:
        yield Home(path), ensure_running(Home(path))


@pytest.mark.parametrize("operation", [*operations()])
def test_no_request_breaks_the_api(operation: Any, fuzzed: tuple[Home, Endpoint]) -> None:
    """No 500, no hang, nothing written elsewhere; the same process answers in the end."""
    home, endpoint = fuzzed
    process = status(home)
    assert process is not None

    @quick
    @given(case=operation.as_strategy())
    def send(case: Any) -> None:
        # Streams end at once; what is asked for apart from that stays as it was generated.
        case.query = {**(case.query or {}), "timeoutSeconds": "0", "follow": "false"}
        headers = {"Authorization": f"Bearer {endpoint.token}"}
        response = case.call(base_url=endpoint.url, headers=headers, timeout=LONGEST)
        case.validate_response(response, checks=[not_a_server_error])

    send()

    now = status(home)
    assert now is not None
    assert now.pid == process.pid
    assert psutil.pid_exists(now.pid)
