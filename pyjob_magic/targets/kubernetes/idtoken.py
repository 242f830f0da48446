"""The id-token of kubectl's former ``auth-provider: oidc``: used as it is, never refreshed."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx

from pyjob_magic.errors import TargetError
from pyjob_magic.targets.kubernetes.bearer import Flow, header
from pyjob_magic.targets.kubernetes.kubeconfig import User

_INSTEAD = (
    "kubectl has no auth-provider since 1.26 either; replace it by an exec plugin, "
    "such as kubectl oidc-login or that of your cloud"
)


class Provider(httpx.Auth):
    """Sends the id-token of an ``auth-provider``, as long as it is valid.

    Parameters
    ----------
    user
        A user of the kubeconfig who has one.
    """

    def __init__(self, user: User) -> None:
        self._user = user

    def auth_flow(self, request: httpx.Request) -> Flow:
        """Add the token to `request`."""
        source = f"the id-token of user {self._user.name!r}"
        request.headers["Authorization"] = header(self._token(), source)
        response = yield request
        if response.status_code == 401:
            raise self._error("the server does not accept its id-token")

    def _token(self) -> str:
        if self._user.provider != "oidc":
            raise self._error("it is not supported")
        if not (token := self._user.provider_config.get("id-token", "")):
            raise self._error("it has no id-token")
        expiry = _claims(token).get("exp")
        if isinstance(expiry, (int, float)) and expiry <= time.time():
            when = datetime.fromtimestamp(expiry, UTC)
            raise self._error(f"its id-token has expired at {when:%Y-%m-%d %H:%M} UTC")
        return token

    def _error(self, reason: str) -> TargetError:
        name, provider = self._user.name, self._user.provider
        return TargetError(f"auth-provider {provider!r} of user {name!r}: {reason}; {_INSTEAD}")


def _claims(token: str) -> dict[str, Any]:
    """Return what a JSON Web Token says, nothing if it is none; the server checks it, not we."""
    payload = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
