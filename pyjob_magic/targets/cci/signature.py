"""Signatures with access key and secret key: ``SDK-HMAC-SHA256``.

Source: Huawei Cloud, "API Request Signing Guide".
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote_to_bytes

import httpx

from pyjob_magic.targets.cci.credentials import Keys

_ALGORITHM = "SDK-HMAC-SHA256"
_DATE = "%Y%m%dT%H%M%SZ"
# What a proxy may add or change is not signed.
_SIGNED = ("content-type", "host", "x-sdk-date", "x-security-token")


def sign(request: httpx.Request, keys: Keys, now: datetime) -> None:
    """Add the signature to `request`, whose body has been read.

    Its query is written anew where it could be read in two ways, such as a ``+`` for a space.
    """
    request.url = request.url.copy_with(query=_encoded(_parameters(request)).encode() or None)
    request.headers["X-Sdk-Date"] = now.astimezone(UTC).strftime(_DATE)
    if keys.security_token:
        request.headers["X-Security-Token"] = keys.security_token
    names = [name for name in _SIGNED if name in request.headers]
    text = f"{_ALGORITHM}\n{request.headers['X-Sdk-Date']}\n{_sha256(canonical(request).encode())}"
    signature = hmac.new(keys.secret_key.encode(), text.encode(), hashlib.sha256).hexdigest()
    request.headers["Authorization"] = (
        f"{_ALGORITHM} Access={keys.access_key}, SignedHeaders={';'.join(names)}, "
        f"Signature={signature}"
    )


def canonical(request: httpx.Request) -> str:
    """Return the form of `request` that both sides hash."""
    path = request.url.raw_path.partition(b"?")[0].decode()
    segments = [_quoted(unquote_to_bytes(segment)) for segment in path.split("/")]
    names = [name for name in _SIGNED if name in request.headers]
    return "\n".join(
        [
            request.method,
            "/".join(segments).removesuffix("/") + "/",
            _encoded(sorted(_parameters(request))),
            *(f"{name}:{request.headers[name].strip()}" for name in names),
            "",
            ";".join(names),
            _sha256(request.content),
        ]
    )


def _parameters(request: httpx.Request) -> list[tuple[str, str]]:
    """Return names and values of the query, percent-encoded as they are signed."""
    pairs = parse_qsl(request.url.query.decode(), keep_blank_values=True, errors="surrogateescape")
    encoded = [[text.encode(errors="surrogateescape") for text in pair] for pair in pairs]
    return [(_quoted(name), _quoted(value)) for name, value in encoded]


def _encoded(parameters: list[tuple[str, str]]) -> str:
    return "&".join(f"{name}={value}" for name, value in parameters)


def _quoted(text: bytes) -> str:
    return quote(text, safe="-_.~")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
