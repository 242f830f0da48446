"""Huawei Cloud Container Instance (CCI 1.0), reached with an access key or an IAM token."""

from __future__ import annotations

import os

from pyjob_magic.dialects import CCI
from pyjob_magic.target import Target
from pyjob_magic.targets.access import Access
from pyjob_magic.targets.cci.auth import CloudAuth
from pyjob_magic.targets.cci.checks import examine
from pyjob_magic.targets.cci.credentials import Source
from pyjob_magic.targets.cci.hints import HINTS
from pyjob_magic.targets.cci.preparation import prepare
from pyjob_magic.targets.cci.regions import endpoints


def target(access: Access) -> Target:
    """Return the target ``cci``; credentials are read with the first request.

    Raises
    ------
    OptionError
        If no region is said.
    """
    where = endpoints(access, os.environ)
    return Target(
        name="cci",
        base_url=where.cci,
        place=where.region,
        auth=CloudAuth(Source(access, where.region), where.iam),
        dialect=CCI(),
        prepare=prepare,
        hints=HINTS,
        examine=examine,
    )
