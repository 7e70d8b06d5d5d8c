"""The samplers' kernels against PyTorch, and whole runs against numpy, torchsde and diffrax, side by side in one run on all cores.

Kernels, on ten million float32: `x * exp(a + b*h + c*z)` with h and z given, and with z drawn on the way. PyTorch runs it eager, as one
writes it and in place, and compiled (torch.compile), in place. Beside them passes over the same four streams (three read, one of
them written) that hardly compute, which show what the memory gives: a plain loop and dale's linear kernel in the same program, and
`addcmul_` in PyTorch. The fastest counts.

Whole runs: 1,000 steps of Dale-Langevin on a million points in the plane with the exact scores of a mixture of three log-normals,
float32 everywhere. numpy and torchsde write the same Euler-Maruyama steps of the logarithm (torchsde: `sdeint`, Ito, euler; diffrax:
Euler with `UnsafeBrownianPath`, its fastest, compiled beforehand). All must end in the mixture's mean and variance.

Each round times everything once, so a slow spell of the machine hits all. Writes results/bench/samplers.{json,md} and the chart
samplers-kernels.svg.

    python scripts/bench_samplers.py            (see `just bench-pytorch`)
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

try:
    import diffrax
    import jax
    import jax.numpy as jnp
    import lineax
    import numpy as np
    import torch
    import torchsde
except (ImportError, OSError) as error:
    sys.exit(f"bench-samplers: {error}: run `just setup-pytorch`, then `.venv/bin/python -m pip install torchsde diffrax 'jax[cpu]'`")

ROOT = Path(__file__).resolve().parent.parent
LAW = {
    "weights": [0.3, 0.5, 0.2],
    "means": [[-0.6, 0.5], [0.7, -0.4], [0.9, 1.1]],
    "variances": [[0.1, 0.05], [0.06, 0.15], [0.03, 0.08]],
}
V_START = 4.0  # v falls from here to 0 in equal steps
# Part of the plain pass's bandwidth that the update must reach, and how many times as fast as each rival it must be.
TARGETS = {"stream": 0.8, "eager": 3.0, "compiled": 1.0, "eager with noise": 3.0, "numpy": 10.0, "torchsde": 3.0, "diffrax": 3.0}


def moments():
    w, mu, s = (np.array(LAW[k]) for k in ("weights", "means", "variances"))
    mean = w @ mu
    return mean, w @ (s + mu**2) - mean**2


def check_moments(who, points, mean, variance):
    """Ends must have the mixture's moments, up to six standard errors and what the start N(0, 4) is off the law at r = 2, for all alike."""
    true_mean, true_variance = moments()
    for found, expected, scatter in ((mean, true_mean, np.sqrt(true_variance / points)), (variance, true_variance, true_variance * math.sqrt(2 / points))):
        if not np.all(np.abs(np.asarray(found) - expected) < 0.05 + 6 * scatter):
            sys.exit(f"bench-samplers: {who} ends with moments {mean}, {variance}, not {true_mean}, {true_variance}")


def clock(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


# Kernels

def torch_kernels(n, a, b, c):
    generator = torch.Generator().manual_seed(1)
    x, h, z = torch.ones(n), torch.randn(n, generator=generator), torch.randn(n, generator=generator)

    def eager():
        return x * torch.exp(a + b * h + c * z)

    def eager_in_place():
        return x.mul_(torch.exp(a + b * h + c * z))

    compiled = torch.compile(lambda x, h, z: x.mul_(torch.exp(a + b * h + c * z)))
    compiled_noise = torch.compile(lambda x, h: x.mul_(torch.exp(a + b * h + c * torch.randn_like(x))))
    return {
        "addcmul_": lambda: x.addcmul_(h, z, value=1e-6),
        "eager": eager,
        "eager, in place": eager_in_place,
        "compiled, in place": lambda: compiled(x, h, z),
        "eager, randn and update": lambda: x * torch.exp(a + b * h + c * torch.randn(n)),
        "eager, randn and update in place": lambda: x.mul_(torch.exp(a + b * h + c * torch.randn(n))),
        "compiled, randn and update in place": lambda: compiled_noise(x, h),
    }, x


def kernels(program, n, rounds, runs):
    def ours():
        return json.loads(subprocess.run([program, "kernels", str(n), str(runs)], check=True, capture_output=True, text=True).stdout)

    first = ours()
    ways, x = torch_kernels(n, first["a"], first["b"], first["c"])
    seconds = {name: [] for name in ["stream", "linear", "given", "drawn", *ways]}
    for way in ways.values():
        way(), way()  # compiles, and warms up
    for _ in range(rounds):
        found = ours()
        for kind in ("stream", "linear", "given", "drawn"):
            seconds[kind] += found[kind]
        for name, way in ways.items():
            x.fill_(1.0)
            for run in range(runs + 1):
                elapsed, _ = clock(way)
                if run > 0:
                    seconds[name].append(elapsed)
    return seconds, first["version"]


# Whole runs

def run_numpy(points, steps, seed):
    w, mu, s = (np.array(LAW[k], np.float32) for k in ("weights", "means", "variances"))
    rng = np.random.default_rng(seed)
    y = np.float32(math.sqrt(V_START)) * rng.standard_normal((points, 2), dtype=np.float32)
    dv = V_START / steps
    for k in range(steps):
        v = np.float32(V_START - k * dv)
        total = s + v
        u = y[:, None, :] - mu
        terms = np.log(w) - 0.5 * np.log(total).sum(1) - 0.5 * (u * u / total).sum(2)
        weight = np.exp(terms - terms.max(1, keepdims=True))
        weight /= weight.sum(1, keepdims=True)
        g = -(weight[:, :, None] * (u / total)).sum(1)
        y += np.float32(dv) * g + np.float32(math.sqrt(dv)) * rng.standard_normal((points, 2), dtype=np.float32)
    return y


def run_torchsde(points, steps, seed):
    w, mu, s = (torch.tensor(LAW[k]) for k in ("weights", "means", "variances"))
    log_w, sigma = torch.log(w), math.sqrt(V_START)

    class Reverse(torch.nn.Module):
        noise_type, sde_type = "diagonal", "ito"

        def f(self, t, y):
            total = s + (V_START * (1 - t))
            u = y[:, None, :] - mu
            weight = torch.softmax(log_w - 0.5 * torch.log(total).sum(1) - 0.5 * (u * u / total).sum(2), 1)
            return -V_START * (weight[:, :, None] * (u / total)).sum(1)

        def g(self, t, y):
            return torch.full_like(y, sigma)

    torch.manual_seed(seed)
    with torch.no_grad():
        start = sigma * torch.randn(points, 2)
        return torchsde.sdeint(Reverse(), start, torch.tensor([0.0, 1.0]), method="euler", dt=1.0 / steps)[-1].numpy()


def make_diffrax(points, steps):
    w, mu, s = (jnp.array(LAW[k], jnp.float32) for k in ("weights", "means", "variances"))
    log_w, sigma = jnp.log(w), math.sqrt(V_START)

    def drift(t, y, _):
        total = s + (V_START * (1 - t))
        u = y[:, None, :] - mu
        weight = jax.nn.softmax(log_w - 0.5 * jnp.log(total).sum(1) - 0.5 * (u * u / total).sum(2), 1)
        return -V_START * (weight[:, :, None] * (u / total)).sum(1)

    def run(key):
        start_key, path_key = jax.random.split(key)
        start = sigma * jax.random.normal(start_key, (points, 2))
        path = diffrax.UnsafeBrownianPath(shape=(points, 2), key=path_key)
        noise = diffrax.ControlTerm(lambda t, y, _: lineax.DiagonalLinearOperator(jnp.full_like(y, sigma)), path)
        found = diffrax.diffeqsolve(
            diffrax.MultiTerm(diffrax.ODETerm(drift), noise), diffrax.Euler(), 0.0, 1.0, 1.0 / steps, start,
            adjoint=diffrax.DirectAdjoint(), max_steps=2 * steps)
        return found.ys[-1]

    compiled = jax.jit(run).lower(jax.random.key(0)).compile()
    return lambda seed: np.asarray(compiled(jax.random.key(seed)))


def whole_runs(program, points, steps, rounds):
    by_diffrax = make_diffrax(points, steps)
    rivals = {"numpy": run_numpy, "torchsde": run_torchsde, "diffrax": lambda _p, _s, seed: by_diffrax(seed)}
    seconds = {name: [] for name in ["dale", *rivals]}
    for seed in range(1, rounds + 1):
        found = json.loads(subprocess.run([program, "sample", str(points), str(steps), "1"], input=json.dumps(LAW), check=True, capture_output=True, text=True).stdout)
        check_moments("dale", points, found["mean"], found["variance"])
        seconds["dale"] += found["seconds"]
        for name, run in rivals.items():
            elapsed, y = clock(lambda: run(points, steps, seed))
            y = y.astype(np.float64)
            check_moments(name, points, y.mean(0), y.var(0))
            seconds[name].append(elapsed)
            print(f"round {seed}: {name} {elapsed:.1f} s, dale {seconds['dale'][-1]:.1f} s", file=sys.stderr)
    return seconds


# What is written

def summary(seconds):
    low, median, high = statistics.quantiles(seconds, n=4) if len(seconds) > 1 else seconds * 3
    return {"median": median, "quartiles": [low, high], "runs": len(seconds)}


def chart(dale, description, to):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(description, file)
        file.flush()
        subprocess.run([dale, "chart", file.name, str(to)], check=True)


def main():
    parser = argparse.ArgumentParser()
    target = os.environ.get("CARGO_TARGET_DIR", "target") + "/release"
    parser.add_argument("--program", default=f"{target}/examples/sampler_speed")
    parser.add_argument("--dale", default=f"{target}/dale", help="the program that draws the charts")
    parser.add_argument("--values", type=int, default=10_000_000)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the kernels")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each kernel in a round")
    parser.add_argument("--whole", type=int, default=1, help="rounds of the whole runs")
    parser.add_argument("--skip-whole", action="store_true", help="only the kernels; writes nothing")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "bench")
    options = parser.parse_args()
    torch.set_num_threads(os.cpu_count())
    n = options.values

    found, dale_version = kernels(options.program, n, options.rounds, options.runs)
    kernel = {name: summary(seconds) for name, seconds in found.items()}
    if options.skip_whole:
        sys.exit("\n".join(f"{name}: {1e3 * s['median']:.2f} ms" for name, s in kernel.items()))
    whole = {name: summary(seconds) for name, seconds in whole_runs(options.program, options.points, options.steps, options.whole).items()}

    at = lambda name: kernel[name]["median"]
    ratios = {
        "stream": min(at("stream"), at("linear"), at("addcmul_")) / at("given"),
        "eager": min(at("eager"), at("eager, in place")) / at("given"),
        "compiled": at("compiled, in place") / at("given"),
        "eager with noise": min(at("eager, randn and update"), at("eager, randn and update in place")) / at("drawn"),
        **{name: whole[name]["median"] / whole["dale"]["median"] for name in ("numpy", "torchsde", "diffrax")},
    }
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine()) if os.path.exists("/proc/cpuinfo") else platform.machine()
    versions = {name: version(name) for name in ("torch", "torchsde", "diffrax", "jax", "numpy")}
    about = {"cpu": cpu, "threads": os.cpu_count(), "values": n, "points": options.points, "steps": options.steps, "dale": dale_version, **versions}

    ms = lambda s: f"{1e3 * s['median']:.2f} ({1e3 * s['quartiles'][0]:.2f}–{1e3 * s['quartiles'][1]:.2f})"
    lines = [f"**The exponentiated update of {n:,} float32 in place: dale against PyTorch**", "",
             "| what | ms | times dale's |", "| --- | ---: | ---: |",
             f"| four streams, a plain loop | {ms(kernel['stream'])} | {at('stream') / at('given'):.2f} |",
             f"| four streams, dale's linear update | {ms(kernel['linear'])} | {at('linear') / at('given'):.2f} |",
             f"| four streams, PyTorch `addcmul_` | {ms(kernel['addcmul_'])} | {at('addcmul_') / at('given'):.2f} |",
             f"| **dale**, noise given | {ms(kernel['given'])} | 1 |"]
    for name in ("eager", "eager, in place", "compiled, in place"):
        lines.append(f"| PyTorch {name} | {ms(kernel[name])} | {at(name) / at('given'):.2f} |")
    lines.append(f"| **dale**, noise drawn inside | {ms(kernel['drawn'])} | 1 |")
    for name in ("eager, randn and update", "eager, randn and update in place", "compiled, randn and update in place"):
        lines.append(f"| PyTorch {name} | {ms(kernel[name])} | {at(name) / at('drawn'):.2f} |")
    lines += ["", f"Medians and quartiles of {kernel['given']['runs']} runs in {options.rounds} rounds; x·exp(a + b h + c z). With noise given, dale reaches "
              f"{100 * ratios['stream']:.0f}% of the bandwidth of the fastest pass over four streams; it moves {16e-9 * n / at('given'):.1f} GB/s.", "",
              f"**{options.steps:,} steps of Dale–Langevin with exact scores on {options.points:,} points in the plane**", "",
              "| program | s | times dale's |", "| --- | ---: | ---: |"]
    for name in ("dale", "diffrax", "torchsde", "numpy"):
        shown = "**dale**" if name == "dale" else name
        spread = f" ({whole[name]['quartiles'][0]:.1f}–{whole[name]['quartiles'][1]:.1f})" if whole[name]["runs"] > 2 else ""
        lines.append(f"| {shown} | {whole[name]['median']:.1f}{spread} | {whole[name]['median'] / whole['dale']['median']:.1f} |")
    lines += ["", f"Runs of each, in turn: {whole['dale']['runs']}; medians; all in float32, compilation not counted; all end in the moments of the mixture (3 components).",
              f"{cpu}, {about['threads']} threads; dale {dale_version}, " + ", ".join(f"{k} {v}" for k, v in versions.items())
              + f", Python {platform.python_version()}. Command: `just bench-pytorch`."]
    print("\n".join(lines))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "samplers.md").write_text("\n".join(lines) + "\n")
    (options.out / "samplers.json").write_text(json.dumps({"about": about, "targets": TARGETS, "ratios": ratios, "kernels": kernel, "runs": whole}, indent=2) + "\n")
    bars = {"four streams, plain": "stream", "four streams, linear": "linear", "dale, noise given": "given", "PyTorch eager": "eager", "eager, in place": "eager, in place", "compiled": "compiled, in place",
            "dale, noise inside": "drawn", "eager with randn": "eager, randn and update in place", "compiled with randn": "compiled, randn and update in place"}
    chart(options.dale, {"title": f"One update of {n:,} values", "x_label": "number in the legend", "y_label": "milliseconds", "y_scale": "log",
          "series": [{"name": f"{i + 1} {name}", "mark": "points", "points": [[i + 1, 1e3 * at(key)]],
                      "band": [[1e3 * q for q in kernel[key]["quartiles"]]]} for i, (name, key) in enumerate(bars.items())]},
          options.out / "samplers-kernels.svg")
    missed = [f"{name}: {ratios[name]:.2f}, target {target:g}" for name, target in TARGETS.items() if ratios[name] < target]
    if missed:
        sys.exit("bench-samplers: " + "; ".join(missed))


if __name__ == "__main__":
    main()
