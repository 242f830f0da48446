"""TLS as a kubeconfig asks for it: whom to trust, and who we are."""

from __future__ import annotations

import ssl
import tempfile
from typing import Any

from pyjob_magic.errors import TargetError
from pyjob_magic.targets.kubernetes.kubeconfig import Cluster, Pem, User


def context(cluster: Cluster, user: User = User()) -> ssl.SSLContext:  # noqa: B008  # frozen
    """Return the TLS context for `cluster`, with the client certificate of `user` if it has one.

    Raises
    ------
    TargetError
        If a file cannot be read, or holds no certificate or key.
    """
    tls = _Context(cluster.tls_server_name)
    if cluster.insecure:
        if cluster.authority:
            raise TargetError(
                "kubeconfig: certificate-authority and insecure-skip-tls-verify exclude each "
                "other; remove one of them"
            )
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    elif cluster.authority:
        # An authority may itself be signed by another one, as for kubectl.
        tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        _trust(tls, cluster.authority)
    else:
        tls.load_default_certs()
    if user.certificate:
        certificate = read(user.certificate, "client-certificate")
        key = read(user.key, "client-key") if user.key else b""
        present(tls, certificate, key, f"the client certificate of user {user.name!r}")
    return tls


def present(tls: ssl.SSLContext, certificate: bytes, key: bytes, what: str) -> None:
    """Show a client certificate to the servers that `tls` connects to from now on.

    Raises
    ------
    TargetError
        If certificate and key are none or do not belong together; `what` names them.
    """
    # OpenSSL reads nothing but files. This one has mode 0600 and is gone at once.
    try:
        with tempfile.NamedTemporaryFile(prefix="pyjob-", suffix=".pem") as file:
            file.write(certificate + b"\n" + key)
            file.flush()
            tls.load_cert_chain(file.name, password=_no_password)
    except ssl.SSLError as error:
        mixed = error.reason == "KEY_VALUES_MISMATCH"
        reason = "its key is another one's" if mixed else "it is no PEM with a key in PEM"
        raise TargetError(f"{what} cannot be used: {reason}") from None
    except (OSError, ValueError) as error:  # no room for the file; a key with a password
        raise TargetError(f"{what} cannot be used: {error}") from None


def _no_password() -> str:
    raise ValueError("its key is encrypted; only keys without a password can be used")


def _trust(tls: ssl.SSLContext, authority: Pem) -> None:
    where = authority.file or "certificate-authority-data"
    # Between the certificates, bundles have names of authorities in any script.
    pem = read(authority, "certificate-authority").decode("ascii", errors="ignore")
    try:
        tls.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise TargetError(f"certificate-authority: {where} holds no certificate") from None


def read(pem: Pem, what: str) -> bytes:
    """Return certificates or a key; `what` names them in messages."""
    if pem.file is None:
        return pem.data
    try:
        return pem.file.read_bytes()
    except OSError as error:
        raise TargetError(f"{what}: cannot read {pem.file}: {error.strerror}") from None


class _Context(ssl.SSLContext):
    """A client's context that may expect another name than the one in the URL.

    It is stricter in nothing than kubectl: `ssl.create_default_context` refuses, from Python 3.13
    on, authorities that clusters have made for years.
    """

    def __new__(cls, _server_name: str = "") -> _Context:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, server_name: str = "") -> None:
        self._server_name = server_name

    def wrap_socket(self, *args: Any, **options: Any) -> ssl.SSLSocket:
        return super().wrap_socket(*args, **self._named(options))

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        return super().wrap_bio(*args, **self._named(options))

    def _named(self, options: dict[str, Any]) -> dict[str, Any]:
        if self._server_name:
            options["server_hostname"] = self._server_name
        return options
