"""Round numbers for axes: limits, steps and labels; for charts in the app and for figures without it."""

import math
from collections.abc import Sequence


def nice_limits(values: Sequence[float], *, least: float = 0.0) -> tuple[float, float]:
    """Give limits on round numbers around the finite values, so that they seldom move.

    Args:
        values: what has to fit.
        least: span that is kept at least.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    span = max(high - low, least, abs(high) * 1e-3, 1e-9)
    step = nice_step(span / 4)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return (low, high) if high > low else (low - step, high + step)


def nice_step(rough: float) -> float:
    """Give 1, 2 or 5 times a power of ten, at least as large as asked."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999999)


def round_below(value: float) -> float:
    """Give 1, 2 or 5 times a power of ten, at most as large as a positive value."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(power * factor for factor in (1, 2, 5) if power * factor <= value * 1.000001)


def linear_ticks(low: float, high: float, most: int = 5) -> tuple[tuple[float, str], ...]:
    """Place labels on round numbers between two limits."""
    step = nice_step((high - low) / max(1, most - 1))
    digits = max(0, -math.floor(math.log10(step)))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple((place * step, _label(place * step, digits)) for place in range(first, last + 1))


def _label(value: float, digits: int) -> str:
    return f"{value:.0e}".replace("e-0", "e-") if value and digits > 3 else f"{value:,.{digits}f}"


def log_ticks(low: float, high: float, most: int = 6) -> tuple[tuple[float, str], ...]:
    """Place labels between two powers, given as log10: at 1, 2 and 5, or only at 1 where that is too many.

    Returns:
        Places as log10, labels as the numbers themselves.
    """
    for factors in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [
            (math.log10(factor * 10.0**power), f"{factor * 10.0**power:g}")
            for power in range(math.floor(low), math.ceil(high) + 1)
            for factor in factors
            if low - 1e-9 <= math.log10(factor * 10.0**power) <= high + 1e-9
        ]
        if len(found) <= most:
            break
    return tuple(found)
