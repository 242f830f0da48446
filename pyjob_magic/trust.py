"""Why there is no TLS connection, and what to do about it."""

from __future__ import annotations

import ssl

# What OpenSSL says about a certificate, by its verify code.
_EXPIRED, _NOT_YET_VALID = 10, 9
_NAME_MISMATCH, _ADDRESS_MISMATCH = 62, 64


def explain(error: BaseException) -> str:
    """Return the reason and what to do if the two do not trust each other; else nothing.

    Parameters
    ----------
    error
        The error with what it comes from.
    """
    while not isinstance(error, ssl.SSLError):
        before = error.__cause__ or error.__context__
        if before is None:
            return ""
        error = before
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error)
    reason = error.reason or ""
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return (
            "it wants a client certificate that it trusts; "
            "check client-certificate and client-key of the user in the kubeconfig"
        )
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return "it does not speak TLS there; check the port, or use http:// instead of https://"
    return ""


def _certificate(error: ssl.SSLCertVerificationError) -> str:
    words = error.verify_message.rstrip(".")
    if error.verify_code in (_NAME_MISMATCH, _ADDRESS_MISMATCH):
        advice = "name the one that it is for, in tls-server-name of the kubeconfig"
    elif error.verify_code in (_EXPIRED, _NOT_YET_VALID):
        advice = "it has to be renewed there, or the clock of this machine is wrong"
    else:
        advice = "name its authority, in certificate-authority of the kubeconfig or SSL_CERT_FILE"
    return f"its certificate is not trusted ({words}); {advice}"
