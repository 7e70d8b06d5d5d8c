"""One training step of the `cpu` preset's U-Net: dale (tch) against PyTorch eager, side by side in one run.

PyTorch gets the same network (examples/unet.py), fused Adam, for-each EMA and clipping, the better of its two memory layouts, and in
bf16 the better of autocast and a bf16 copy of f32 masters. Each round runs all programs one after the other, each in a process of its
own, so a slow spell of the machine hits all of them. Memory is that of the step: the process's peak less what it held before its first
step. Writes results/bench/pytorch-step.{json,md}.

    python scripts/bench_pytorch.py            (see `just bench-pytorch`)
"""

import argparse
import json
import math
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
try:
    import torch
    from unet import UNet
except (ImportError, OSError) as error:
    sys.exit(f"bench-pytorch: PyTorch cannot be imported ({error}); it needs all its wheels: run `just setup-pytorch`")


def time_pytorch(precision, layout, batch, steps):
    """Seconds of each of `steps` training steps. bf16 is either autocast or, as dale does it, a bf16 copy of f32 masters."""
    torch.manual_seed(0)
    torch.set_num_threads(len(__import__("os").sched_getaffinity(0)))
    net = UNet()
    if "channels-last" in layout:
        net = net.to(memory_format=torch.channels_last)
    copied = "copy" in layout
    parameters = [p.detach().clone() for p in net.parameters()] if copied else list(net.parameters())
    if copied:
        net = net.to(torch.bfloat16)
        leaves = list(net.parameters())
    average = [p.detach().clone() for p in parameters]
    adam = torch.optim.Adam(parameters, lr=2e-3, betas=(0.9, 0.99), fused=True)
    sd, seconds, v = 0.219, [], 0.25
    c_skip, c_out, c_in = sd**2 / (v + sd**2), (v**0.5) * sd / (v + sd**2) ** 0.5, 1 / (v + sd**2) ** 0.5
    level, y0 = torch.full((batch,), 0.5 * math.log(v)), torch.zeros(batch, 1, 28, 28)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for step in range(steps + 3):
        y = torch.randn(batch, 1, 28, 28) * 0.5
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16" and not copied):
            raw = net(c_in * (y - 0.095), level)
        denoised = 0.095 + c_skip * (y - 0.095) + c_out * raw
        loss = ((denoised - y0) ** 2).flatten(1).sum(1).mean() / 784 * (v + sd**2) / (v * sd**2)
        adam.zero_grad(set_to_none=True)
        if copied:
            for p, g in zip(parameters, torch.autograd.grad(loss, leaves)):
                p.grad = g.float()
        else:
            loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        adam.step()
        if copied:
            with torch.no_grad():
                torch._foreach_copy_(leaves, parameters)
        torch._foreach_lerp_(average, [p.detach() for p in parameters], 0.002)
        if step >= 3:
            seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "parameters": sum(p.numel() for p in parameters), "memory_before": before,
            "memory_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def measured(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def dale(program, precision, steps):
    return measured([program, "bench-step", "mnist", "--preset", "cpu", "--steps", str(steps), "--set", "training.batch=128",
                     "--set", f"training.precision={precision}", "--set", "training.averages=[]"])


def pytorch(precision, layout, steps):
    return measured([sys.executable, __file__, "--one", precision, layout, "--steps", str(steps)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="target/release/dale")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--one", nargs=2, metavar=("PRECISION", "LAYOUT"), help="time PyTorch in this process, print JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(time_pytorch(*options.one, 128, options.steps)))
        return
    rows = []
    for precision in ("f32", "bf16"):
        layouts = ["contiguous", "channels-last"]
        if precision == "bf16":
            layouts = [f"{layout}, {way}" for layout in layouts for way in ("autocast", "copy")]
        found = {name: [] for name in ["dale", *layouts]}
        for _ in range(options.rounds):
            found["dale"].append(dale(options.program, precision, options.steps))
            for layout in layouts:
                found[layout].append(pytorch(precision, layout, options.steps))
        parameters = {run["parameters"] for runs in found.values() for run in runs}
        assert len(parameters) == 1, f"different networks: {parameters} parameters"
        times = {name: [s for run in runs for s in run["seconds"]] for name, runs in found.items()}
        median = {name: statistics.median(values) for name, values in times.items()}
        quartiles = {name: statistics.quantiles(values, n=4)[::2] for name, values in times.items()}
        memory = {name: max(run["memory_peak"] - run["memory_before"] for run in runs) for name, runs in found.items()}
        layout = min(layouts, key=median.get)
        apply = statistics.median(s for run in found["dale"] for s in run["apply_seconds"])
        rows.append({"precision": precision, "parameters": parameters.pop(), "median": median, "quartiles": quartiles,
                     "layout": layout, "steps": len(times["dale"]), "ratio": median["dale"] / median[layout], "memory": memory,
                     "memory_ratio": memory["dale"] / memory[layout], "apply_share": apply / median["dale"]})
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    threads = len(__import__("os").sched_getaffinity(0))
    about = f"{cpu}, {threads} threads, PyTorch {torch.__version__}, batch 128, {rows[0]['parameters']:,} parameters"
    lines = ["**One training step: dale against PyTorch eager (fused Adam, for-each EMA and clipping)**", "",
             "| precision | dale, s | PyTorch, s | its best way | dale / PyTorch | memory, dale / PyTorch | clipping, Adam, EMA |",
             "| --- | ---: | ---: | --- | ---: | ---: | ---: |"]
    for row in rows:
        show = lambda name: f"{row['median'][name]:.3f} ({row['quartiles'][name][0]:.3f}–{row['quartiles'][name][1]:.3f})"
        size = lambda name: f"{row['memory'][name] / 2**20:.0f}"
        lines.append(f"| {row['precision']} | {show('dale')} | {show(row['layout'])} | {row['layout']} | {row['ratio']:.2f} | "
                     f"{size('dale')} / {size(row['layout'])} MiB = {row['memory_ratio']:.2f} | {100 * row['apply_share']:.1f}% |")
    lines += ["", f"Median and quartiles of {rows[0]['steps']} steps each; {about}. Memory is the largest that a run grew by over its steps. "
                  "The last column is the part of dale's step that comes after the gradient."]
    print("\n".join(lines))
    folder = Path("results/bench")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pytorch-step.md").write_text("\n".join(lines) + "\n")
    (folder / "pytorch-step.json").write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")
    limits = [("ratio", 0.95, "of PyTorch's time"), ("memory_ratio", 1.0, "of PyTorch's memory"), ("apply_share", 0.05, "of the step for the optimizer")]
    broken = [f"{row['precision']}: {row[key]:.2f} {what}, the limit is {limit}" for row in rows for key, limit, what in limits if row[key] > limit]
    if broken:
        sys.exit("bench-pytorch: " + "; ".join(broken))


if __name__ == "__main__":
    main()
