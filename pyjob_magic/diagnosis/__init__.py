"""Pure: from a job, its pods, its events and the ends of logs to what went wrong, in a sentence.

`examination` weighs the evidence. What is recognised, and what is said of it, stands in two
tables, in the order in which they are tried: `failures` and `waiting`.
"""

from pyjob_magic.diagnosis.examination import Diagnosis, diagnose
from pyjob_magic.diagnosis.failures import failed_first
from pyjob_magic.diagnosis.replicas import (
    blamed,
    ended_by_deletion,
    exit_code,
    failed,
    how,
    suspects,
)

__all__ = [
    "LOG_LINES",
    "READ_LINES",
    "Diagnosis",
    "blamed",
    "diagnose",
    "ended_by_deletion",
    "exit_code",
    "failed",
    "failed_first",
    "how",
    "suspects",
]

LOG_LINES = 20
"""How much of the log of a replica that failed is shown."""
READ_LINES = 200
"""How much of it is read: torchrun says much after the traceback that counts."""
