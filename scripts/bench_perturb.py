"""Ten million values of the forward process, noise included, on one core: dale against numpy, side by side in one run.

numpy gets `x*np.exp(m + s*rng.standard_normal(n))` as one writes it, with x in single and in double precision; single precision
throughout; and both once more without temporaries (`out=` everywhere). dale writes into an array that is there; once it also
makes a new one. Each round times all of them one after the other, so a slow spell of the machine hits all.
Writes results/bench/perturb.{json,md}.

    python scripts/bench_perturb.py            (see `just bench-perturb`; needs numpy)
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
try:
    import numpy as np
except ImportError as error:
    sys.exit(f"bench-perturb: numpy cannot be imported ({error}): run `{sys.executable} -m pip install numpy`, or `just setup-pytorch`")

M, V = -0.32, 0.64
TARGET = 3.0
# What is timed, and what of dale it is compared with.
RIVALS = [
    ("x float32", "reused", "`x*np.exp(m + s*rng.standard_normal(n))`, x float32"),
    ("x float32", "fresh", "the same, and dale makes a new array, too"),
    ("x float64", "reused", "the same, x float64"),
    ("all float32", "reused", "the same, all float32: `standard_normal(n, dtype=np.float32)`"),
    ("all float32", "fresh", "that, and dale makes a new array, too"),
    ("all float64, in place", "reused", "all float64, in place"),
    ("all float32, in place", "reused", "all float32, in place"),
    ("normals float64", "normals", "only the normals, float64"),
    ("normals float32", "normals", "only the normals, float32"),
]
# The target's rival: as one writes it, in the faster of the two precisions of x.
WRITTEN = ("x float32", "x float64")


def numpy_ways(n):
    rng = np.random.default_rng(1)
    x32 = (1 + np.arange(n) % 256 / np.float32(255)).astype(np.float32)
    x64 = x32.astype(np.float64)
    s = math.sqrt(V)
    m32, s32 = np.float32(M), np.float32(s)
    out32, out64 = np.empty_like(x32), np.empty_like(x64)

    def in_place(out, x, m, s):
        rng.standard_normal(out=out, dtype=out.dtype)
        np.multiply(out, s, out=out)
        np.add(out, m, out=out)
        np.exp(out, out=out)
        return np.multiply(out, x, out=out)

    ways = {
        "x float32": lambda: x32 * np.exp(M + s * rng.standard_normal(n)),
        "x float64": lambda: x64 * np.exp(M + s * rng.standard_normal(n)),
        "all float32": lambda: x32 * np.exp(m32 + s32 * rng.standard_normal(n, dtype=np.float32)),
        "all float64, in place": lambda: in_place(out64, x64, M, s),
        "all float32, in place": lambda: in_place(out32, x32, m32, s32),
        "normals float32": lambda: rng.standard_normal(out=out32, dtype=np.float32),
        "normals float64": lambda: rng.standard_normal(out=out64),
    }
    assert ways.keys() == {name for name, _, _ in RIVALS}
    return ways, x64


def time_numpy(way, runs):
    seconds = []
    for run in range(runs + 1):
        start = time.perf_counter()
        result = way()
        elapsed = time.perf_counter() - start
        del result
        if run > 0:  # the first warms up, as dale's does
            seconds.append(elapsed)
    return seconds


def time_dale(program, n, runs):
    found = json.loads(subprocess.run([program, str(n), str(runs), str(M), str(V)], check=True, capture_output=True, text=True).stdout)
    check_law("dale", n, found["log_mean"], found["log_variance"])
    return found


def check_law(who, n, mean, variance):
    """What was timed must be the forward process: mean and variance of ln(out/x) within 5 standard errors (and rounding)."""
    if abs(mean - M) > 5 * math.sqrt(V / n) + 1e-6 or abs(variance - V) > 5 * V * math.sqrt(2 / n) + 1e-6:
        sys.exit(f"bench-perturb: {who} has log-mean {mean} and log-variance {variance}, not {M} and {V}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default=os.environ.get("CARGO_TARGET_DIR", "target") + "/release/examples/perturb_speed")
    parser.add_argument("--values", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--runs", type=int, default=3, help="timed runs of everything in a round")
    parser.add_argument("--out", type=Path, default=Path("results/bench"))
    options = parser.parse_args()
    n = options.values
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # both programs on one and the same core

    ways, x = numpy_ways(n)
    for name in ("x float32", "x float64", "all float32"):
        logs = np.log(ways[name]().astype(np.float64) / x)
        check_law(f"numpy ({name})", n, logs.mean(), logs.var())
    del logs
    theirs, ours = {name: [] for name in ways}, {"fresh": [], "reused": [], "normals": []}
    for _ in range(options.rounds):
        dale = time_dale(options.program, n, options.runs)
        for kind, seconds in ours.items():
            seconds += dale[kind]
        for name, way in ways.items():
            theirs[name] += time_numpy(way, options.runs)

    def summary(seconds):
        low, median, high = statistics.quantiles(seconds, n=4)
        return {"median": median, "quartiles": [low, high], "least": min(seconds), "runs": len(seconds)}

    rows = []
    for name, kind, words in RIVALS:
        a, b = summary(ours[kind]), summary(theirs[name])
        rows.append({"numpy": name, "words": words, "dale_way": kind, "dale": a, "numpy_seconds": b,
                     "ratio": b["median"] / a["median"], "ratio_of_least": b["least"] / a["least"]})
    written = min((row for row in rows if row["numpy"] in WRITTEN and row["dale_way"] == "reused"), key=lambda row: row["numpy_seconds"]["median"])

    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine()) if os.path.exists("/proc/cpuinfo") else platform.machine()
    about = {"cpu": cpu, "vectors": dale["vectors"], "cores": 1, "values": n, "m": M, "v": V, "dale": dale["version"], "numpy": np.__version__, "python": platform.python_version()}
    show = lambda s: f"{1e9 * s['median'] / n:.2f} ({1e9 * s['quartiles'][0] / n:.2f}–{1e9 * s['quartiles'][1] / n:.2f})"
    lines = ["**The forward process on one core, noise included: dale against numpy**", "",
             "| numpy does | dale, ns per value | numpy, ns per value | numpy / dale |", "| --- | ---: | ---: | ---: |"]
    for row in rows:
        lines.append(f"| {row['words']} | {show(row['dale'])} | {show(row['numpy_seconds'])} | {row['ratio']:.2f} |")
    lines += ["", f"Medians and quartiles of {rows[0]['dale']['runs']} runs each in {options.rounds} rounds of {n:,} values. dale's results are float32, from normals in double",
              f"precision rounded to float32. Against numpy as one writes it, in its faster precision of x, dale is {written['ratio']:.2f} times as fast when it writes into an array that is there.",
              f"{cpu}, {dale['vectors']}, one core; dale {dale['version']}, numpy {np.__version__}, Python {platform.python_version()}. Command: `just bench-perturb`."]
    print("\n".join(lines))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "perturb.md").write_text("\n".join(lines) + "\n")
    (options.out / "perturb.json").write_text(json.dumps({"about": about, "target": TARGET, "ratio": written["ratio"], "rows": rows}, indent=2) + "\n")
    if written["ratio"] < TARGET:
        sys.exit(f"bench-perturb: dale is {written['ratio']:.2f} times as fast as numpy; the target is {TARGET:g}")


if __name__ == "__main__":
    main()
