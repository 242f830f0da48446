"""Pure: whether a request is sent again, and after which pause."""

from __future__ import annotations

import random
from dataclasses import dataclass

from pyjob_magic import errors

TRYING_AGAIN = "; trying again"
"""The end of a note on an error that is not the last word."""

PATIENCE = 30.0
"""Seconds for which a server that has answered before may be away, such as to be restarted."""

_ATTEMPTS = 3  # where the server answers, but with an error of its own
_LONGEST_PAUSE = 60.0  # seconds that a server may ask for


@dataclass
class Hope:
    """Whether it is worth to send a request again.

    A server that was there a moment ago is given time to come back; one that was never there is
    taken for a wrong address at once.

    Parameters
    ----------
    patient
        Whether the server has answered before.
    attempts
        How often the request was sent in vain.
    lost
        Whether one of the attempts may have been carried out.
    """

    patient: bool
    attempts: int = 0
    lost: bool = False

    def pause_after(
        self, error: errors.TargetError | errors.ApiError, waited: float
    ) -> float | None:
        """Return the seconds to wait before the next attempt, None if there should be none.

        Parameters
        ----------
        waited
            Seconds since the first attempt began.
        """
        self.attempts += 1
        if isinstance(error, errors.TargetError):
            self.lost |= error.sent
            hopeless = not error.passing or not (self.patient or error.sent)
            if hopeless or waited >= PATIENCE:
                return None
            return self._growing()
        if error.code == 429 or (error.code == 503 and error.retry_after is not None):
            pause = self._growing() if error.retry_after is None else error.retry_after
            return None if pause > _LONGEST_PAUSE or waited >= 2 * PATIENCE else pause
        if error.code in (500, 502, 503, 504) and "request is too large" not in error.message:
            self.lost = True
            return None if self.attempts >= _ATTEMPTS else self._growing()
        return None

    def _growing(self) -> float:
        # Not all clients at once: those of many notebooks lose the same server.
        return float(min(5.0, 0.1 * 2**self.attempts) * random.uniform(0.5, 1.0))  # noqa: S311
