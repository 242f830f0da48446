"""Where CCI and IAM are, said in one of several ways."""

from __future__ import annotations

import pytest

from pyjob_magic.errors import OptionError
from pyjob_magic.targets import Access
from pyjob_magic.targets.cci.regions import Endpoints, endpoints

SHANGHAI = Endpoints(
    "cn-east-3",
    "https://cci.cn-east-3.myhuaweicloud.com",
    "https://iam.cn-east-3.myhuaweicloud.com",
)


@pytest.mark.parametrize(
    ("access", "environment"),
    [
        (Access(region="cn-east-3"), {"HUAWEICLOUD_SDK_REGION": "cn-north-4"}),
        (Access(), {"HUAWEICLOUD_SDK_REGION": "cn-east-3", "OS_REGION_NAME": "cn-north-4"}),
        (Access(), {"OS_REGION_NAME": "cn-east-3"}),
        (
            Access(endpoint="https://cci.cn-east-3.myhuaweicloud.com/"),
            {"OS_REGION_NAME": "cn-north-4"},
        ),
    ],
)
def test_the_region_gives_both_endpoints(access: Access, environment: dict[str, str]) -> None:
    """The profile comes before the environment, a known endpoint tells its region."""
    assert endpoints(access, environment) == SHANGHAI


def test_endpoints_of_their_own_serve_private_regions() -> None:
    """CCI's from the profile, IAM's also as OpenStack names it."""
    access = Access(region="x", endpoint="https://cci.example.com")

    found = endpoints(access, {"OS_AUTH_URL": "https://iam.example.com/v3/"})

    assert found == Endpoints("x", "https://cci.example.com", "https://iam.example.com")
    other = endpoints(Access(region="x", iam_endpoint="http://127.0.0.1:8080"), {})
    assert other.iam == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("access", "message"),
    [
        (Access(), "no region is said; set HUAWEICLOUD_SDK_REGION to one of cn-north-4, cn-east-2"),
        (Access(region="a/../b"), "'a/../b' is no region; set HUAWEICLOUD_SDK_REGION"),
        (Access(endpoint="https://cci.example.com"), "no region is said; set"),
        (Access(region="x", endpoint="http://cci.example.com"), "does not start with https://"),
        (Access(region="x", iam_endpoint="iam.example.com"), "does not start with https://"),
        (Access(region="x", endpoint="https://[::"), "is no URL"),
    ],
)
def test_what_leads_nowhere_is_refused(access: Access, message: str) -> None:
    """Secrets are sent encrypted only."""
    with pytest.raises(OptionError) as refused:
        endpoints(access, {})

    assert message in str(refused.value)
