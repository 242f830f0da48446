"""What to do about CCI's error codes.

Source: CCI's "Error Codes"; "API Gateway: Error Codes".
"""

from __future__ import annotations

_RIGHT = "ask the account's administrator for the action CCI:namespaceSubResource:{} in IAM"
_AGENCY = "open the CCI console once and agree to the agency cci_admin_trust"
_KEY = (
    "check access key and secret key, or the token; five wrong signatures lock a key for 5 minutes"
)
_FLAVOR = "give the namespace the flavor general-computing or gpu-accelerated"

HINTS = {
    "CCI.01.400105": "name one namespace; CCI shows nothing of all of them together",
    "CCI.01.401102": _AGENCY,
    "CCI.01.403101": "have GPUs enabled for the account in the CCI console",
    "CCI.01.403102": "have OBS enabled for the account in the CCI console",
    "CCI.01.403104": "ask the account's administrator for the right in IAM",
    "CCI.01.403110": _RIGHT.format("Create"),
    "CCI.01.403111": _RIGHT.format("Delete"),
    "CCI.01.403112": _RIGHT.format("Update"),
    "CCI.01.403113": _RIGHT.format("Get"),
    "CCI.01.403114": _RIGHT.format("List"),
    "CCI.01.404101": _AGENCY,
    "CCI.02.400106": "delete a namespace: an account has five in a region",
    "CCI.02.400110": _FLAVOR,
    "CCI.02.400111": _FLAVOR,
    "CCI.02.400116": "try another region, or later: this one has no room for the namespace",
    "CCI.02.409101": "choose another name: those of namespaces are unique in all of CCI",
    "APIG.0301": _KEY,
    "APIGW.0301": _KEY,
    "APIGW.0303": "set the clock of this machine: signatures are good for 15 minutes",
}
"""By error code, what to do where CCI's own words do not say it."""
