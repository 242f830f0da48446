"""What the HTTP library would write into its debug log, and nobody should see."""

from __future__ import annotations

import logging


def keep_out(logger: str, mark: str) -> None:
    """Let `logger` drop the records that have `mark` in them, in whatever case."""
    logging.getLogger(logger).addFilter(lambda record: mark not in record.getMessage().lower())
