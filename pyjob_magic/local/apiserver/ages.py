"""How long ago something was, as `kubectl` shows it. Pure."""

from __future__ import annotations

from pyjob_magic.local.objects import seconds

UNKNOWN = "<unknown>"


def age(since: str | None, now: float) -> str:
    """Return how long ago a time was, in at most two units.

    Source: ``k8s.io/apimachinery/pkg/util/duration.HumanDuration``.
    """
    if not since:
        return UNKNOWN
    elapsed = int(now - seconds(since))
    if elapsed < 0:  # clocks differ by a second or two
        return "0s" if elapsed > -2 else "<invalid>"
    minutes, hours, days = elapsed // 60, elapsed // 3600, elapsed // 86400
    if elapsed < 120:
        return f"{elapsed}s"
    if minutes < 10:
        return _two(minutes, "m", elapsed % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 365 * 2:
        return f"{days}d"
    return _two(days // 365, "y", days % 365 if days < 365 * 8 else 0, "d")


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large}{unit}" + (f"{small}{small_unit}" if small else "")
