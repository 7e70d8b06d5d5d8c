"""Records what numpy and scipy say about small feature matrices, for tests/oracle.rs.

    python crates/metrics/tests/oracle/make_oracle.py

Frechet distance by scipy's general matrix square root (the route of pytorch-fid), kernel distance by a plain double loop. Rerun it
only to change the cases; the recorded file is committed.
"""

import json
import pathlib

import numpy as np
import scipy
from scipy.linalg import sqrtm


def frechet(a, b):
    sa, sb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    delta = a.mean(axis=0) - b.mean(axis=0)
    root = sqrtm(sa @ sb)
    return float(delta @ delta + np.trace(sa) + np.trace(sb) - 2 * np.trace(root).real)


def kid(a, b):
    def kernel(x, y):
        return (float(x @ y) / len(x) + 1.0) ** 3

    m, n = len(a), len(b)
    aa = sum(kernel(a[i], a[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    bb = sum(kernel(b[i], b[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    ab = sum(kernel(a[i], b[j]) for i in range(m) for j in range(n)) / (m * n)
    return aa + bb - 2 * ab


def main():
    rng = np.random.default_rng(20251002)
    mix = rng.normal(size=(8, 8)) / np.sqrt(8)
    full_a = np.maximum(rng.normal(size=(60, 8)) @ mix + 0.4, 0)
    full_b = np.maximum(1.3 * rng.normal(size=(60, 8)) @ mix + 0.6, 0)
    cases = {
        "full rank": (full_a, full_b),
        "fewer rows than columns": (full_a[:6], full_b),
        "different numbers of rows": (full_a[:23], full_b[:51]),
    }
    out = {"numpy": np.__version__, "scipy": scipy.__version__, "cases": []}
    for name, (a, b) in cases.items():
        # Kept as float32 (the numbers below are exact decimals of those), computed in float64.
        a, b = (np.round(m, 4).astype(np.float32).astype(np.float64) for m in (a, b))
        out["cases"].append(
            {
                "name": name,
                "sample": np.round(a, 4).tolist(),
                "reference": np.round(b, 4).tolist(),
                "frechet": frechet(a, b),
                "kid": kid(a, b),
                "mean": a.mean(axis=0).tolist(),
                "cov": np.cov(a, rowvar=False).tolist(),
            }
        )
    path = pathlib.Path(__file__).with_name("oracle.json")
    path.write_text(json.dumps(out) + "\n")


if __name__ == "__main__":
    main()
