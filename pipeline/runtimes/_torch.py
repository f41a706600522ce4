"""How torch is set while one of its runtimes executes a file."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def as_measured(threads: int) -> Iterator[None]:
    """Fix the threads and take denormal numbers as zero; torch is as before afterwards, since it also trains here."""
    import torch

    before = torch.get_num_threads()
    flushed = float(torch.tensor(1e-40).mul(0.5)) == 0.0
    if before != threads:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_flush_denormal(flushed)
        if before != threads:
            torch.set_num_threads(before)
