"""All benches in one table: `make bench`, or

python -m bench [--full] [--only NAME ...] [--device auto] [--markdown PATH]
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from bench.table import Facts, Line, add_device, lines_of, to_markdown, write_page

NAMES = ("scoring", "training", "encoders", "prompts", "ingest", "pairs", "catalog", "startup")
"""Modules of this package with `lines(short)`; the slowest first."""
ON_DEVICE = ("scoring", "training")
"""Those that run the language model, with `lines(short, device)`; all others measure the CPU."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run benches one after the other and print one table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--full", action="store_true", help="full sizes instead of the short set")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    add_device(parser)
    parser.add_argument("--markdown", type=Path, help="file to write the table to as well")
    options = parser.parse_args(arguments)
    devices = {name: options.device if name in ON_DEVICE else None for name in options.only}
    facts = Facts.of_run("bench", arguments, devices=[of or "cpu" for of in devices.values()])
    found: list[Line] = []
    for name, device in devices.items():
        started = time.perf_counter()
        # In a process of its own: a process that it starts would begin with the memory of all that ran before.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found += pool.submit(lines_of, name, not options.full, device).result()
        sys.stderr.write(f"bench.{name}: {time.perf_counter() - started:.0f} s\n")
        if options.markdown:  # after each: what was measured is not lost if a later one fails
            write_page("Benchmarks", found, facts, options.markdown)
    sys.stdout.write(to_markdown(found, facts))


if __name__ == "__main__":
    main()
