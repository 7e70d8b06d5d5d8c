"""What the harness costs beside training: the part of a training's time that is neither batch nor step, and the seconds before the first
step. Writes results/bench/overhead.md.

    python scripts/bench_overhead.py [--steps 1000] [--rounds 3]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
FULL = 7500  # steps of the preset


def run(steps, folder):
    command = ["target/release/dale", "--out-root", folder, "train", "mnist", "--preset", "cpu", "--set", f"training.steps={steps}",
               "--set", f"training.checkpoint_every={steps}"]
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    seconds = time.monotonic() - started
    if done.returncode != 0:
        sys.exit(done.stderr)
    share = float(re.search(r"training: ([0-9.]+)% of its time", done.stderr).group(1)) / 100
    lines = (next(Path(folder).rglob("metrics.jsonl"))).read_text().splitlines()
    trained = float(re.search(r'"seconds":([0-9.e+-]+)', lines[-1]).group(1))
    return share, seconds - trained, trained / steps


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    found = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            found.append(run(options.steps, folder))
    shares, outside, step = ([row[i] for row in found] for i in range(3))
    whole = [share + rest / (FULL * one) for share, rest, one in found]
    model = next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    spread = lambda values, form: f"{median(values):{form}}" + (f" ({min(values):{form}}–{max(values):{form}})" if len(values) > 1 else "")
    rounds = f"{options.rounds} rounds" if options.rounds > 1 else "One round"
    text = f"""**What the harness costs**

| what | {'median (range)' if options.rounds > 1 else 'measured once'} |
| --- | ---: |
| logs, checkpoints, probes and progress, in parts of training | {spread([100 * s for s in shares], '.2f')} % |
| seconds outside of the loop: start, data, choice of precision, the checkpoint at the end with its grid of 36 images | {spread(outside, '.1f')} |
| both together, in parts of the {FULL:,} steps of the preset `cpu` | {spread([100 * s for s in whole], '.2f')} % |

{rounds} of {options.steps} steps with a checkpoint at the end (the preset has one every 1,000); {spread([1000 * s for s in step], '.0f')} ms a step; {model}, {os.cpu_count()} cores. Command: `just bench-overhead --steps {options.steps} --rounds {options.rounds}`.
"""
    (ROOT / "results/bench/overhead.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
