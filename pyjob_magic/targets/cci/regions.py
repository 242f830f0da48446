"""Where CCI and IAM are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from pyjob_magic.errors import OptionError
from pyjob_magic.targets.access import Access

REGIONS = ("cn-north-4", "cn-east-2", "cn-east-3", "cn-south-1", "cn-southwest-2")
"""Regions that have CCI; others are not refused. Source: "Notes and Constraints", 2022."""

VARIABLES = ("HUAWEICLOUD_SDK_REGION", "OS_REGION_NAME")
"""Environment variables that name the region where nothing else does."""

_HOST = re.compile(r"cci\.([a-z0-9-]+)\.myhuaweicloud\.com")


@dataclass(frozen=True)
class Endpoints:
    """A region, and the URLs of CCI and IAM there."""

    region: str
    cci: str
    iam: str


def endpoints(access: Access, environment: Mapping[str, str]) -> Endpoints:
    """Return where to go: as `access` says, else as the environment does.

    A known endpoint tells its region. URLs serve private regions; ``OS_AUTH_URL`` is one of IAM.

    Raises
    ------
    OptionError
        If no region is said, or a URL is not one of ``https``.
    """
    said = _url(access.endpoint or "")
    named = (access.region, _region_of(said), *map(environment.get, VARIABLES))
    region = next(filter(None, named), "")
    if not re.fullmatch(r"[a-z0-9-]+", region):
        what = f"{region!r} is no region" if region else "no region is said"
        raise OptionError("--on", f"cci: {what}; set {VARIABLES[0]} to one of {', '.join(REGIONS)}")
    iam = _url(access.iam_endpoint or environment.get("OS_AUTH_URL") or "").removesuffix("/v3")
    return Endpoints(
        region,
        said or f"https://cci.{region}.myhuaweicloud.com",
        iam or f"https://iam.{region}.myhuaweicloud.com",
    )


def _region_of(url: str) -> str:
    found = _HOST.fullmatch(httpx.URL(url).host) if url else None
    return found[1] if found else ""


def _url(text: str) -> str:
    """Check a URL: credentials go to ``https`` only, or to this machine."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise OptionError("--on", f"cci: {text!r} is no URL") from None
    safe = url.scheme == "https" or url.host in ("localhost", "127.0.0.1", "::1")
    if text and not (safe and url.host):
        raise OptionError("--on", f"cci: {text!r} does not start with https://")
    return text.rstrip("/")
