"""Bytes and seconds as people read them."""

from __future__ import annotations

_THOUSAND = 1000
_FEW_SECONDS = 10


def in_bytes(count: float) -> str:
    """Return *count* bytes with up to three digits and a decimal unit, as Docker writes sizes: ``1.21 GB``."""
    units = iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    count = _three_digits(count)
    while count >= _THOUSAND and (larger := next(units, None)):
        count, unit = _three_digits(count / _THOUSAND), larger
    return f"{count:g} {unit}"


def in_seconds(seconds: float) -> str:
    """Return a duration: ``0.4 s``, ``34 s``, ``2 min 5 s``, ``1 h 3 min``."""
    if seconds < _FEW_SECONDS:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _three_digits(number: float) -> float:
    return float(f"{number:.3g}")
