"""Chaos for as long as wanted: `python3 dev.py chaos [--minutes 60] [--seed 1]`."""

import argparse
import asyncio
import sys
import time

from tests.chaos.run import open_chaos
from tests.chaos.served import SAFETIES

PATIENCE_S = 30.0


def main() -> int:
    """Run one round after the other, each with the next seed; return 1 as soon as one has found something."""
    return asyncio.run(_run(_parser().parse_args()))


async def _run(options: argparse.Namespace) -> int:
    ends_at = time.monotonic() + options.minutes * 60
    seed = options.seed
    async with open_chaos(without=options.without, with_browsers=not options.no_browsers) as chaos:
        while True:
            report = await chaos.round(seed, options.seconds, options.patience)
            sys.stdout.write(f"seed {seed}: {report}\n")
            sys.stdout.flush()
            seed += 1
            if not report.is_good or time.monotonic() > ends_at:
                return 0 if report.is_good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py chaos", description="Random writers and faults, while pages watch.")
    parser.add_argument("--minutes", type=float, default=0, help="for how long; else a single round")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each round has the next one")
    parser.add_argument("--seconds", type=float, default=30, help="of disturbance in each round")
    parser.add_argument("--patience", type=float, default=PATIENCE_S, help="seconds within which all must be equal")
    parser.add_argument("--without", choices=SAFETIES, default="", help="take a safety out: chaos must notice that")
    parser.add_argument("--no-browsers", action="store_true", help="watch in raw clients only")
    return parser


if __name__ == "__main__":
    sys.exit(main())
