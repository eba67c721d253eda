"""Programs that cargo has built for benchmarks."""

import glob
import os
import sys


def throughput():
    """The newest program of `cargo bench --no-run --bench throughput`."""
    found = glob.glob("target/release/deps/throughput-*")
    programs = [file for file in found if "." not in os.path.basename(file)]
    if not programs:
        sys.exit("build the throughput benchmark first: cargo bench --no-run --bench throughput")
    return max(programs, key=os.path.getmtime)
