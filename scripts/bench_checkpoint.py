"""A checkpoint of 60 million parameters (averaged weights, weights, Adam's two moments) against `dd` writing and syncing as many bytes,
in turns on the same disk. Writes results/bench/checkpoint.{json,md}.

    python scripts/bench_checkpoint.py [--rounds 5] [--folder target]            (see `just bench-checkpoint`)
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PIECE = 4 << 20  # what dale writes at once, too


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="target/release/examples/checkpoint_speed")
    parser.add_argument("--folder", default="target", help="where to write: the disk that is measured")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ours, theirs = [], []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for _ in range(options.rounds):
            found = json.loads(subprocess.run([options.program, folder, "2"], check=True, capture_output=True, text=True).stdout)
            ours.append(found["seconds"][1])  # the second replaces the first, as in training
            count = -(-found["bytes"] // PIECE)
            command = ["dd", "if=/dev/zero", f"of={folder}/dd", f"bs={PIECE}", f"count={count}", "conv=fsync", "status=none"]
            for _ in range(2):
                start = time.perf_counter()
                subprocess.run(command, check=True)
                seconds = time.perf_counter() - start
            theirs.append(seconds)
    a, b = statistics.median(ours), statistics.median(theirs)
    spread = lambda s: f"{min(s):.2f}–{max(s):.2f}"
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    lines = ["**A checkpoint against `dd conv=fsync` of as many bytes**", "",
             "| bytes | dale, s | dd, s | dale / dd |", "| ---: | ---: | ---: | ---: |",
             f"| {found['bytes']:,} | {a:.2f} ({spread(ours)}) | {b:.2f} ({spread(theirs)}) | {a / b:.2f} |", "",
             f"Median and range of {options.rounds} rounds in turns; {found['parameters']:,} parameters in four copies; {cpu}."]
    print("\n".join(lines))
    target = Path("results/bench")
    (target / "checkpoint.md").write_text("\n".join(lines) + "\n")
    (target / "checkpoint.json").write_text(json.dumps({"bytes": found["bytes"], "dale": ours, "dd": theirs, "ratio": a / b}, indent=2) + "\n")
    if a / b > 1.2:
        sys.exit(f"bench-checkpoint: {a / b:.2f} times dd's time; the limit is 1.2")


if __name__ == "__main__":
    main()
