"""Ten thousand damaged recipes, logs and reports: an error of ours or a valid result, in little memory and time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = 10_000


@pytest.mark.slow
@pytest.mark.parametrize("what", ["recipe", "log", "report", "summary", "results"])
def test_whatever_is_read_is_refused_in_a_sentence_or_understood(what):
    done = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.fuzzing", what, str(CASES)],
        cwd=Path(__file__).parents[2], env=os.environ | {"PYTHONHASHSEED": "0"}, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stderr[:1000]} ... {done.stderr[-1000:]}"
    refused = int(done.stdout.split()[0])
    assert refused < CASES
