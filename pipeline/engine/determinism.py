"""Random streams that depend on the recipe's seed and a purpose, never on what ran before."""

import hashlib

import torch


def derived_seed(*parts: int | str) -> int:
    """Mix a seed with the purpose that it serves.

    Args:
        parts: the recipe's seed and whatever tells this stream from the others.

    Returns:
        A whole number from 0 to 2**63 - 1; equal parts give equal numbers on every machine.
    """
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*parts: int | str) -> torch.Generator:
    """Make a random stream on the CPU for a seed and a purpose."""
    return torch.Generator().manual_seed(derived_seed(*parts))


def seed_everything(*parts: int | str) -> None:
    """Seed torch's global streams, from which initial weights and dropout are drawn."""
    torch.manual_seed(derived_seed(*parts))
    # Denormals come up in decayed and pruned weights and can cost ten times the time of a step.
    torch.set_flush_denormal(True)
