"""What `just bench` measured of the samplers' kernels, as a table and a chart: results/bench/kernels.{md,json,svg}.

Reads criterion's estimates under target/criterion/kernels; the chart is drawn by `dale chart`. The slope is that of ln(time) against
ln(elements), 1 where the cost is linear.

    python3 scripts/bench_table.py
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = [
    "plain pass over four streams",
    "exponentiated update, noise given",
    "linear update in log space, noise given",
    "exponentiated update, noise drawn inside",
]


def load(folder):
    found = {}
    for estimates in folder.glob("*/*/new/estimates.json"):
        bench = json.loads((estimates.parent / "benchmark.json").read_text())
        median = json.loads(estimates.read_text())["median"]
        interval = median["confidence_interval"]
        found.setdefault(bench["function_id"], {})[int(bench["value_str"])] = [
            1e-9 * x for x in (median["point_estimate"], interval["lower_bound"], interval["upper_bound"])]
    missing = [name for name in NAMES if name not in found]
    if missing:
        sys.exit(f"bench-table: {folder} has no {', '.join(missing)}; run `just bench`")
    return {name: dict(sorted(found[name].items())) for name in NAMES}


def slope(points):
    xs, ys = [math.log(n) for n in points], [math.log(t[0]) for t in points.values()]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys)) / sum((a - x) ** 2 for a in xs)


def main():
    parser = argparse.ArgumentParser()
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--criterion", type=Path, default=target / "criterion" / "kernels")
    parser.add_argument("--dale", default=target / "release" / "dale", help="the program that draws the chart")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "bench")
    options = parser.parse_args()
    found = load(options.criterion)
    sizes = sorted({n for points in found.values() for n in points})
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine()) if os.path.exists("/proc/cpuinfo") else platform.machine()
    power = lambda n: f"10{str(round(math.log10(n))).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
    lines = ["**The kernels of the samplers, float32 in place: nanoseconds per element**", "",
             f"| kernel | {' | '.join(power(n) for n in sizes)} | slope |", f"| --- |{' ---: |' * (len(sizes) + 1)}"]
    for name, points in found.items():
        lines.append(f"| {name} | " + " | ".join(f"{1e9 * points[n][0] / n:.3f}" for n in sizes) + f" | {slope(points):.3f} |")
    lines += ["", "Medians. One thread below 65,536 elements, all threads from there on; rows of 100 elements where noise is drawn. The slope is that of ln(time)",
              f"against ln(elements). {cpu}, {os.cpu_count()} threads. Command: `just bench`."]
    print("\n".join(lines))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "kernels.md").write_text("\n".join(lines) + "\n")
    rows = {name: {str(n): {"seconds": t[0], "interval": t[1:]} for n, t in points.items()} for name, points in found.items()}
    (options.out / "kernels.json").write_text(json.dumps({"cpu": cpu, "threads": os.cpu_count(), "rows": rows}, indent=2) + "\n")
    series = [{"name": name, "mark": "both", "points": [[n, 1e3 * t[0]] for n, t in points.items()]} for name, points in found.items()]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"title": "Cost of one update", "x_label": "elements", "y_label": "milliseconds", "x_scale": "log", "y_scale": "log", "series": series}, file)
        file.flush()
        subprocess.run([options.dale, "chart", file.name, str(options.out / "kernels.svg")], check=True)


if __name__ == "__main__":
    main()
