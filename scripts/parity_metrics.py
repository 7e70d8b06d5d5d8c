"""The crate `metrics` against the Python packages that people use, on the same features, made from a seed.

| number | against | allowed |
|---|---|---|
| FID, on 64, 128 and 2048 features, also of deficient rank | scipy's `sqrtm`, `pytorch-fid` | 1e-6 relative |
| the same, up to 2000 rows | singular values of the centred rows' product, by numpy | 1e-10 relative |
| KID, exact and on the same subsets | `torch-fidelity`, `torchmetrics` | 1e-6 relative |
| precision, recall, density, coverage | `prdc` | equal counts |
| inception score, the same parts | `torch-fidelity` | 1e-6 relative |
| nearest and second nearest training row | scikit-learn's brute force | equal rows, 1e-9 relative |

Where the rank is deficient, scipy's root of a singular matrix is off by about the root of a rounding error for each missing dimension
(it warns); numpy's singular values are not. All references get the features in float64: the numbers are then those of the definition, and a difference is a fault. (In float32, as
they come from a network, the packages' own kernel distances are off by up to some percent when the distance is small.) Each side's
draws of subsets are repeated here from its own generator. Writes results/parity/metrics.{json,md}; fails if anything is off.

    python scripts/parity_metrics.py            (see `just parity-metrics`; scipy's route takes minutes on 2048 features)
    python scripts/parity_metrics.py --speed    (times instead, on a quiet machine; writes results/parity/metrics-speed.{json,md})
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import redirect_stdout
from importlib.metadata import version
from io import StringIO
from pathlib import Path

try:
    import numpy as np
    import scipy.linalg
    import torch
    from prdc import compute_prdc
    from pytorch_fid.fid_score import calculate_frechet_distance
    from sklearn.neighbors import NearestNeighbors
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kernel_mmd, kid_features_to_metric
    from torchmetrics.image.kid import KernelInceptionDistance
except (ImportError, OSError) as error:
    sys.exit(f"parity-metrics: {error}: needs numpy, scipy, scikit-learn, prdc, torch, torchvision, pytorch-fid, torch-fidelity, torchmetrics")

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("numpy", "scipy", "scikit-learn", "prdc", "torch", "pytorch-fid", "torch-fidelity", "torchmetrics")
SEED = 20261126
KERNEL = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1}
# name, rows of both sides, features, rank of what the features are mixed from (None: full), features that are always 0
FID_CASES = [
    ("64 features", 1000, 64, None, 0),
    ("64 features, fewer rows", 40, 64, None, 0),
    ("64 features, rank 20", 1000, 64, 20, 0),
    ("128 features", 2000, 128, None, 0),
    ("128 features, fewer rows", 100, 128, None, 0),
    ("128 features, 40 of them dead", 1000, 128, None, 40),
    ("2048 features", 4000, 2048, None, 0),
    ("2048 features, fewer rows", 500, 2048, None, 0),
]


def features(rng, rows, columns, rank=None, dead=0, scale=1.0, shift=0.4):
    """Rectified mixtures, float32; of a given rank without the rectifier, which would restore it."""
    inner = rank or columns
    mix = np.random.default_rng([SEED, columns, inner]).normal(size=(inner, columns)) / np.sqrt(inner)
    values = scale * rng.normal(size=(rows, inner)) @ mix + shift
    values = values if rank else np.maximum(values, 0)
    values[:, columns - dead:] = 0
    return values.astype(np.float32)


class Program:
    """The crate's example `on_files`."""

    def __init__(self, path, folder):
        self.path, self.folder, self.version = path, Path(folder), None

    def run(self, sample, reference, only, **settings):
        names = []
        for name, values in (("sample", sample), ("reference", reference)):
            names.append(str(self.folder / f"{name}.npy"))
            np.save(names[-1], values)
        if "logits" in settings:
            np.save(self.folder / "logits.npy", settings["logits"])
            settings["logits"] = self.folder / "logits.npy"
        settings = [f"{name}={value}" for name, value in {"only": only, **settings}.items()]
        found = json.loads(subprocess.run([self.path, *names, *settings], check=True, capture_output=True, text=True).stdout)
        self.version = found["version"]
        return {"value": found["metrics"][only], "seconds": found["seconds"][only], "beyond_bytes": found["beyond_bytes"] or 0}


def moments(values):
    values = values.astype(np.float64)
    return values.mean(axis=0), np.cov(values, rowvar=False)


def svd_fid(a, b):
    """The trace of the root as the sum of singular values of the product of the centred rows: no root of a rounding error."""
    (mean_a, cov_a), (mean_b, cov_b) = moments(a), moments(b)
    product = (a - mean_a) @ (b - mean_b).T / np.sqrt((len(a) - 1.0) * (len(b) - 1.0))
    delta = mean_a - mean_b
    return float(delta @ delta + np.trace(cov_a) + np.trace(cov_b) - 2 * np.linalg.svd(product, compute_uv=False).sum())


def scipy_fid(mean_a, cov_a, mean_b, cov_b):
    delta = mean_a - mean_b
    return float(delta @ delta + np.trace(cov_a) + np.trace(cov_b) - 2 * np.trace(scipy.linalg.sqrtm(cov_a @ cov_b)).real)


def pytorch_fid(mean_a, cov_a, mean_b, cov_b):
    with redirect_stdout(StringIO()):
        return float(calculate_frechet_distance(mean_a, cov_a, mean_b, cov_b))


class Checks:
    def __init__(self):
        self.rows = []

    def add(self, number, case, against, ours, theirs, allowed, relative=True):
        difference = abs(ours - theirs) / (abs(theirs) if relative else 1)
        self.rows.append({"number": number, "case": case, "against": against, "ours": ours, "theirs": theirs, "difference": difference,
                          "allowed": allowed, "holds": bool(difference <= allowed)})
        print(f"{number} ({case}) against {against}: {ours!r} {theirs!r}, {difference:.1e}, allowed {allowed:g}", file=sys.stderr, flush=True)


def check_fid(program, checks, widest):
    for name, rows, columns, rank, dead in FID_CASES:
        if columns > widest:
            continue
        rng = np.random.default_rng([SEED, rows, columns, rank or 0, dead])
        a, b = features(rng, rows, columns, rank, dead, scale=1.5, shift=0.8), features(rng, rows, columns, rank, dead)
        ours = program.run(a, b, "fid")["value"]["distance"]
        given = (*moments(a), *moments(b))
        case = f"{name}, {rows} rows"
        if rows <= 2000:
            checks.add("FID", case, "numpy svd", ours, svd_fid(a, b), 1e-10)
        checks.add("FID", case, "scipy sqrtm", ours, scipy_fid(*given), 1e-6)
        checks.add("FID", case, "pytorch-fid", ours, pytorch_fid(*given), 1e-6)


def check_kid(program, checks, widest):
    for columns in (64, 128, 2048):
        if columns > widest:
            continue
        rows, size, subsets = 1500, 400, 4
        rng = np.random.default_rng([SEED, columns])
        a, b = features(rng, rows, columns, scale=1.1), features(rng, rows, columns)
        exact = program.run(a, b, "kid")["value"]
        wide_a, wide_b = (torch.from_numpy(v.astype(np.float64)) for v in (a, b))

        def fidelity(size, subsets):
            return kid_features_to_metric(wide_a, wide_b, kid_subsets=subsets, kid_subset_size=size, rng_seed=7, verbose=False, **KERNEL)["kernel_inception_distance_mean"]

        def torchmetrics(size, subsets):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                metric = KernelInceptionDistance(feature=torch.nn.Identity(), subsets=subsets, subset_size=size)
            metric.real_features.append(wide_b)
            metric.fake_features.append(wide_a)
            torch.manual_seed(7)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return float(metric.compute()[0])

        checks.add("KID, exact", f"{columns} features, {rows} rows", "torch-fidelity", exact, fidelity(rows, 1), 1e-6)
        checks.add("KID, exact", f"{columns} features, {rows} rows", "torchmetrics", exact, torchmetrics(rows, 1), 1e-6)

        draw = np.random.RandomState(7)
        pairs = [(draw.choice(rows, size, replace=False), draw.choice(rows, size, replace=False)) for _ in range(subsets)]
        ours = float(np.mean([program.run(a[i], b[j], "kid")["value"] for i, j in pairs]))
        checks.add("KID, mean of subsets", f"{columns} features, {subsets} × {size} rows", "torch-fidelity", ours, fidelity(size, subsets), 1e-6)
        torch.manual_seed(7)
        pairs = [(torch.randperm(rows)[:size].numpy(), torch.randperm(rows)[:size].numpy()) for _ in range(subsets)]
        ours = float(np.mean([program.run(a[i], b[j], "kid")["value"] for j, i in pairs]))
        checks.add("KID, mean of subsets", f"{columns} features, {subsets} × {size} rows", "torchmetrics", ours, torchmetrics(size, subsets), 1e-6)


def check_kid_of_many(program, checks, widest):
    """Enough rows for products in float32, which must not be kept where the distance is small."""
    for columns in (128, 2048):
        if columns > widest:
            continue
        rng = np.random.default_rng([SEED, columns, 3])
        given = features(rng, 6000, columns), features(rng, 3000, columns, scale=1.05), features(rng, 3000, columns, scale=1.5)
        half, other, near, far = given[0][:3000], given[0][3000:], given[1], given[2]
        for name, a, b in (("halves of one set", half, other), ("near", near, half), ("far", far, half), ("far, plus 20", far + np.float32(20), half + np.float32(20))):
            theirs = float(kernel_mmd(a.astype(np.float64), b.astype(np.float64), **KERNEL))
            checks.add("KID, exact", f"{columns} features, 3000 rows, {name}", "torch-fidelity", program.run(a, b, "kid")["value"], theirs, 1e-6)


def check_prdc(program, checks, widest):
    for columns, n, m, k in ((2, 700, 900, 3), (64, 1000, 1000, 5), (128, 800, 1200, 5), (2048, 1000, 900, 5)):
        if columns > widest:
            continue
        rng = np.random.default_rng([SEED, columns, n, k])
        a, b = features(rng, n, columns, scale=0.95), features(rng, m, columns)
        ours = program.run(a, b, "prdc", k=k)["value"]
        with redirect_stdout(StringIO()):
            theirs = compute_prdc(b.astype(np.float64), a.astype(np.float64), k)
        for name, count in (("precision", n), ("recall", m), ("density", n * k), ("coverage", m)):
            # Shares of whole counts: equal counts differ by the rounding of one division at most.
            checks.add(name + ", count", f"{columns} features, {n} against {m}, k = {k}", "prdc", round(ours[name]["estimate"] * count, 6),
                       round(float(theirs[name]) * count, 6), 0, relative=False)


def check_neighbours(program, checks):
    rng = np.random.default_rng([SEED, 1])
    a, b = features(rng, 500, 64, scale=0.9), features(rng, 2000, 64)
    ours = program.run(a, b, "memorization")["value"]
    distances, rows = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(b.astype(np.float64)).kneighbors(a.astype(np.float64))
    # scikit-learn expands the square; distances are taken again from differences.
    wide = lambda v: v.astype(np.float64)
    exact = np.sqrt(((wide(a)[:, None, :] - wide(b)[rows]) ** 2).sum(axis=2))
    own = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(wide(b)).kneighbors(wide(b))[0][:, 1]
    case = "64 features, 500 against 2000"
    samples = ours["samples"]
    checks.add("nearest row, differences", case, "scikit-learn", float(sum(s["index"] != r for s, r in zip(samples, rows[:, 0]))), 0.0, 0, relative=False)
    checks.add("nearest distance, sum", case, "scikit-learn", sum(s["distance"] for s in samples), float(exact[:, 0].sum()), 1e-9)
    checks.add("ratio to the second, sum", case, "scikit-learn", sum(s["ratio"] for s in samples), float((exact[:, 0] / exact[:, 1]).sum()), 1e-9)
    checks.add("authentic samples, count", case, "scikit-learn", round(ours["authenticity"]["estimate"] * 500, 6), float((exact[:, 0] > own[rows[:, 0]]).sum()), 0, relative=False)


def check_inception(program, checks):
    for classes in (10, 1008):
        rng = np.random.default_rng([SEED, classes])
        logits = (3 * rng.normal(size=(1003, classes))).astype(np.float32)
        ours = program.run(logits, logits, "inception", logits=logits)["value"]
        theirs = isc_features_to_metric(torch.from_numpy(logits), splits=10, shuffle=False)
        for name, key in (("mean", "inception_score_mean"), ("sd", "inception_score_std")):
            checks.add(f"inception score, {name}", f"{classes} classes, 1003 rows, 10 parts", "torch-fidelity", ours[name], theirs[key], 1e-6)


def cpu():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def about(program):
    return {"metrics": program.version, **{name: version(name) for name in PACKAGES}, "python": platform.python_version()}


def write(folder, name, record, lines):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def parity(program, options):
    warnings.simplefilter("ignore", DeprecationWarning)  # of sqrtm's argument `disp`, which pytorch-fid gives
    warnings.filterwarnings("ignore", message="Matrix is singular")
    checks = Checks()
    check_kid(program, checks, options.widest)
    check_kid_of_many(program, checks, options.widest)
    check_prdc(program, checks, options.widest)
    check_neighbours(program, checks)
    check_inception(program, checks)
    check_fid(program, checks, options.widest)
    versions = about(program)
    lines = ["# The metrics against other implementations", "",
             ", ".join(f"{name} {number}" for name, number in versions.items()) + f"; features from seed {SEED}, given to the references in float64 (`just parity-metrics`).", "",
             "| number | features | against | ours | theirs | difference | allowed |", "| --- | --- | --- | ---: | ---: | ---: | ---: |"]
    for row in checks.rows:
        lines.append(f"| {row['number']} | {row['case']} | {row['against']} | {row['ours']:.10g} | {row['theirs']:.10g} | {row['difference']:.1e} | {row['allowed']:g} |")
    lines += ["", "Differences are relative, of counts absolute."]
    write(options.out, "metrics", {"versions": versions, "seed": SEED, "checks": checks.rows}, lines)
    missed = [f"{row['number']} ({row['case']}, {row['against']}): {row['difference']:.2e}" for row in checks.rows if not row["holds"]]
    if missed:
        sys.exit("parity-metrics: " + "; ".join(missed))


def clock(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def speed_cases(options):
    """(number, rows of the other side, features, name in `on_files`, goal, rivals by name)."""
    kid = lambda a, b: float(kernel_mmd(a, b, **KERNEL))
    wide = lambda v: v.astype(np.float64)

    def nearest(a, b):
        return float(NearestNeighbors(n_neighbors=1, algorithm="brute").fit(b).kneighbors(a)[0].sum())

    rows, points = options.rows, 6 * options.rows
    cases = [("FID", rows, 2048, "fid", "5 times", {"pytorch-fid (scipy)": lambda a, b: pytorch_fid(*moments(a), *moments(b))})]
    for columns in (64, 128, 2048):
        # The float64 copies are made outside of the clock: the package takes its features as they come.
        cases.append(("KID, exact", rows, columns, "kid", "3 times", {"torch-fidelity, float32": kid, "torch-fidelity, float64": (wide, kid)}))
    for columns in (128, 784):
        cases.append(("nearest row", points, columns, "nearest", "30 s", {"scikit-learn, float32": nearest}))
    return [case for case in cases if case[2] <= options.widest and (not options.only or case[3] in options.only.split(","))]


def speed(program, options):
    """In every round each side is timed once, one after the other and in turn first, so that a slow spell of the machine hits both."""
    rows, lines, record = options.rows, [], []
    for number, points, columns, setting, goal, rivals in speed_cases(options):
        rng = np.random.default_rng([SEED, points, columns])
        a, b = features(rng, rows, columns, scale=1.1), features(rng, points, columns)
        seconds, values, beyond = {"metrics": [], **{rival: [] for rival in rivals}}, {}, 0

        def ours():
            nonlocal beyond
            found = program.run(a, b, setting)
            beyond = max(beyond, found["beyond_bytes"])
            value = found["value"]
            return found["seconds"], value["distance"] if setting == "fid" else value["distances"] if setting == "nearest" else value

        def theirs(work):
            prepare, work = work if isinstance(work, tuple) else (lambda v: v, work)
            given = prepare(a), prepare(b)
            return clock(lambda: work(*given))

        for turn in range(options.rounds):
            for by in list(seconds)[:: 1 if turn % 2 == 0 else -1]:
                elapsed, values[by] = ours() if by == "metrics" else theirs(rivals[by])
                seconds[by].append(elapsed)
                print(f"{number}, {columns} features, round {turn + 1} of {options.rounds}: {by} {elapsed:.2f} s", file=sys.stderr, flush=True)
        matrices = beyond / (4 * max(rows, points) * columns)
        for by, times in seconds.items():
            ratios = [theirs / own for theirs, own in zip(times, seconds["metrics"])]
            shown = f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            own = by == "metrics"
            lines.append(f"| {number} | {rows:,} against {points:,} × {columns:,} | {by} | {np.median(times):.2f} ({min(times):.2f} to {max(times):.2f}) | "
                         f"{'' if own else shown} | {goal if own else ''} | {f'{matrices:.2f}' if own else ''} | {values[by]:.9g} |")
            record.append({"number": number, "rows": rows, "points": points, "columns": columns, "by": by, "seconds": times, "times_ours": ratios,
                           "value": values[by], **({"goal": goal, "beyond_bytes": beyond, "beyond_matrices": matrices} if own else {})})
    versions, threads = about(program), os.cpu_count()
    head = ["# The metrics' speed beside other implementations", "",
            f"float32 features from seed {SEED}, {threads} threads, {cpu()}; {options.rounds} rounds, in each of which every side runs once, in turn first; "
            + ", ".join(f"{name} {number}" for name, number in versions.items()) + f" (`just parity-metrics --speed --rounds {options.rounds}`).", "",
            "| number | features | by | seconds, median (range) | times ours, median of rounds (range) | goal | memory | value |", "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    foot = ["", f"Memory: the highest beyond both inputs, in float32 matrices of the larger side; the goal is 3. Seconds do not count reading files or "
            "widening features to float64 for KID. KID's value in float32 is the package's own rounding."]
    write(options.out, "metrics-speed", {"versions": versions, "threads": threads, "cpu": cpu(), "rounds": options.rounds, "runs": record}, head + lines + foot)


def main():
    parser = argparse.ArgumentParser()
    target = os.environ.get("CARGO_TARGET_DIR", "target") + "/release"
    parser.add_argument("--program", default=f"{target}/examples/on_files")
    parser.add_argument("--widest", type=int, default=2048, help="leave out cases with more features")
    parser.add_argument("--speed", action="store_true", help="time FID, exact KID and nearest rows beside the other packages instead")
    parser.add_argument("--rows", type=int, default=10_000, help="rows of each side, with --speed")
    parser.add_argument("--only", help="with --speed: fid, kid, nearest, or some of them, separated by commas")
    parser.add_argument("--rounds", type=int, default=5, help="with --speed")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "parity")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = Program(options.program, folder)
        (speed if options.speed else parity)(program, options)


if __name__ == "__main__":
    main()
