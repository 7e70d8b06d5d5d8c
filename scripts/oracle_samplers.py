"""The samplers against other implementations, on the same noise and coefficients (`just oracle-samplers`).

Dale–Langevin, unconstrained and Milstein: a transcription of the paper's updates in numpy, in ambient space, in double and single
precision. Euler, Heun, DPM-Solver++ (2M, 3M) and SDE-DPM-Solver++ (2M): the schedulers of `diffusers`, given the log state in place of
the image. Writes results/oracle/samplers.md with the versions; fails where a difference is larger than allowed.
"""

import json
import subprocess
import sys
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers.schedulers import scheduling_edm_dpmsolver_multistep as edm_multistep

ROOT = Path(__file__).resolve().parent.parent
MIXTURE = {
    "weights": [0.35, 0.4, 0.25],
    "means": [[-1.0, 0.5, 0.0], [0.8, -0.7, 0.2], [0.1, 0.3, -0.9]],
    "variances": [[0.1, 0.2, 0.3], [0.3, 0.1, 0.2], [0.05, 0.1, 0.15]],
}
ROWS, STEPS, R_MIN, R_MAX = 200, 18, 0.02, 4.0


def denoise(y, v):
    """E[Y_0 | ȳ] for the mixture, by Bayes' rule."""
    weights, means, variances = (np.array(MIXTURE[k]) for k in ("weights", "means", "variances"))
    total = variances + v
    deviation = y[:, None, :] - means
    log = np.log(weights) - 0.5 * (np.log(total) + deviation**2 / total).sum(-1)
    share = np.exp(log - log.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    return (share[:, :, None] * (means + variances / total * deviation)).sum(1)


def ambient(kind, x, noise, r):
    """The paper's updates of x in units of σ = 1, μ = σ²/2 (so m = 0): δ = v − v'. Ten lines, no library but numpy."""
    v = np.append(r, 0.0) ** 2
    path = []
    for k in range(len(r)):
        delta, z = v[k] - v[k + 1], noise[k].astype(x.dtype)
        h = ((denoise(np.log(np.abs(x)).astype(np.float64), v[k]) - np.log(np.abs(x))) / v[k] - 1).astype(x.dtype)
        terms = [delta * (1.5 - 0.5 if kind == "dale-langevin" else 2 - 0.5), delta * h, np.sqrt(delta) * z]
        terms += [0.5 * delta * (z**2 - 1)] if kind == "milstein" else []
        x = (x * np.exp(sum(terms)) if kind == "dale-langevin" else x * (1 + sum(terms))).astype(x.dtype)
        path.append((x, terms))
    return path


def ours(samplers, r, start, noise, precision="f64"):
    request = MIXTURE | {
        "r": list(r), "start": start.tolist(), "noise": noise.tolist(), "samplers": samplers, "precision": precision,
    }
    program = ROOT / "target" / "release" / "examples" / "run_samplers"
    done = subprocess.run([program], input=json.dumps(request), capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def theirs(scheduler, r, start, noise):
    """A scheduler of diffusers over the levels r and 0, fed with exact denoised values in its own parameterization."""
    heun = isinstance(scheduler, diffusers.HeunDiscreteScheduler)
    scheduler.set_timesteps(len(r))
    scheduler.set_begin_index(0)
    levels = torch.tensor(np.append(r, 0.0))
    # Heun's scheduler visits each inner level twice.
    scheduler.sigmas = torch.cat([levels[:1], levels[1:-1].repeat_interleave(2), levels[-1:]]) if heun else levels
    draws = iter(noise)
    edm_multistep.randn_tensor = lambda *_, **__: torch.tensor(next(draws))
    x, path = torch.tensor(start), []
    for index, t in enumerate(scheduler.timesteps):
        sigma = float(scheduler.sigmas[index])
        output = torch.tensor(denoise(x.numpy(), sigma**2))
        if not heun:
            data = scheduler.config.sigma_data
            output = (output - data**2 / (sigma**2 + data**2) * x) / (sigma * data / (sigma**2 + data**2) ** 0.5)
        x = scheduler.step(output, t, x).prev_sample
        if not heun or index % 2 == 1 or index + 1 == len(scheduler.timesteps):
            path.append(x.numpy())
    return path


def multistep(**settings):
    return diffusers.EDMDPMSolverMultistepScheduler(lower_order_final=False, **settings)


def main():
    generator = np.random.default_rng(7)
    start = R_MAX * generator.standard_normal((ROWS, 3))
    noise = generator.standard_normal((STEPS, ROWS, 3))
    r = (R_MAX ** (1 / 7) + np.arange(STEPS) / (STEPS - 1) * (R_MIN ** (1 / 7) - R_MAX ** (1 / 7))) ** 7
    rows = []

    def compare(name, oracle, what, error, allowed):
        rows.append((name, oracle, what, float(error), allowed))

    kinds = ["dale-langevin", "unconstrained", "milstein"]
    tables = [{"kind": kind} for kind in kinds]
    # Whole runs amplify rounding: the update is compared one step at a time, each from the same states.
    for precision, dtype, unit in [("f64", np.float64, 1e-12), ("f32", np.float32, 2e-6)]:
        for kind, table in zip(kinds, tables):
            worst = 0.0
            for k in range(STEPS - 1):
                levels = r[k : k + 2]
                y, draw = (a.astype(dtype).astype(np.float64) for a in (start * r[k] / R_MAX, noise[k : k + 2]))
                state = np.array(ours([table], levels, y, draw, precision)[0]["states"][0])
                expected, terms = ambient(kind, np.exp(y), draw, levels)[0]
                if kind != "dale-langevin":  # where the bracket cancels, its rounding is that of its largest term
                    scale = sum(np.abs(t) for t in [1, *terms]) / np.abs(1 + sum(terms))
                else:
                    scale = 1 + np.abs(sum(terms)) if precision == "f32" else 1
                worst = max(worst, (np.abs(np.exp(state) / np.abs(expected) - 1) / scale).max())
            of = "1 + \\|exponent\\|" if kind == "dale-langevin" else "the bracket's largest term"
            what = "x after one step, relative" + (f", in units of {of}" if precision == "f32" or kind != "dale-langevin" else "")
            compare(kind, "numpy transcription", f"{what}, {precision}", worst, unit)
    whole = ours(tables, r, start, noise)
    for kind, answer in zip(kinds, whole):
        x = ambient(kind, np.exp(start), noise, r)[-1][0]
        signs = np.ones_like(x) if answer["signs"] is None else np.array(answer["signs"])
        compare(kind, "numpy transcription", "signs at the end, number of differences", (np.sign(x) != signs).sum(), 0)

    pairs = [
        ({"kind": "euler"}, multistep(solver_order=1)),
        ({"kind": "heun"}, diffusers.HeunDiscreteScheduler(prediction_type="sample")),
        ({"kind": "dpm-solver-2m"}, multistep(solver_order=2)),
        ({"kind": "dpm-solver-3m"}, multistep(solver_order=3)),
        ({"kind": "sde-dpm-solver-2m"}, multistep(solver_order=2, algorithm_type="sde-dpmsolver++")),
    ]
    answers = ours([table for table, _ in pairs], r, start, noise)
    for (table, scheduler), answer in zip(pairs, answers):
        error = np.abs(np.array(answer["states"]) - np.array(theirs(scheduler, r, start, noise))).max()
        compare(table["kind"], type(scheduler).__name__, "log state, every step, f64", error, 1e-5)

    lines = [
        "# The samplers against other implementations",
        "",
        f"diffusers {diffusers.__version__}, numpy {np.__version__}, PyTorch {torch.__version__}; a mixture of three log-normals in three "
        f"dimensions, {ROWS} starts, {STEPS} levels from r = {R_MAX} to {R_MIN}, then 0; the same noise on both sides (`just oracle-samplers`).",
        "",
        "| sampler | oracle | what | largest difference | allowed |",
        "| --- | --- | --- | ---: | ---: |",
        *(f"| {name} | {oracle} | {what} | {error:.1e} | {allowed:g} |" for name, oracle, what, error, allowed in rows),
    ]
    out = ROOT / "results" / "oracle"
    out.mkdir(exist_ok=True)
    (out / "samplers.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    wrong = [row for row in rows if not row[3] <= row[4]]
    if wrong:
        sys.exit(f"{len(wrong)} differences are larger than allowed")


if __name__ == "__main__":
    main()
