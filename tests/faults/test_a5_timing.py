"""A5: how long a refusal takes tells nothing: not how much of a signature was right, nor whether
anybody has the key. The measurement finds a comparison that stops early, its own control."""

import re
import subprocess

import pytest

from conftest import ROOT, target_folder
from harness.results import amount, record

#: A difference in time needs many samples on a quiet machine: not in every build.
SAMPLES = amount(usual=0, full=100_000)
T_MAX = 4.5


# Proves: A5
@pytest.mark.skipif(SAMPLES == 0, reason="not run: only in make torture")
def test_the_time_of_a_refusal_tells_nothing():
    build = ["cargo", "build", "--locked", "--release", "--package", "cairn-access"]
    subprocess.run([*build, "--example", "signature_timing"], cwd=ROOT, check=True)
    program = target_folder() / "release" / "examples" / "signature_timing"
    run = subprocess.run([program, str(SAMPLES)], capture_output=True, text=True, check=False)
    digits, keys, control = (float(t) for t in re.findall(r"t = (-?[0-9.]+)", run.stdout))
    assert abs(control) >= T_MAX, f"the planted difference was not found: {run.stdout}"
    assert abs(digits) < T_MAX and abs(keys) < T_MAX, run.stdout
    figures = {"signatures": SAMPLES, "t digits": digits, "t keys": keys, "t control": control}
    record("A5", runs=SAMPLES, controls=1, controls_caught=1, figures=figures)
