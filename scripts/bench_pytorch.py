"""One training step of the `cpu` preset's U-Net: dale (tch) against PyTorch eager, side by side in one run.

PyTorch gets the same network, fused Adam, for-each EMA and clipping, the better of its two memory layouts, and in bf16 the
better of autocast and a bf16 copy of f32 masters. Each round
times both programs one after the other, so a slow spell of the machine hits both. Writes results/bench/pytorch-step.{json,md}.

    python scripts/bench_pytorch.py            (see `just bench-pytorch`)
"""

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

try:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except (ImportError, OSError) as error:
    sys.exit(f"bench-pytorch: PyTorch cannot be imported ({error}); it needs all its wheels: run `just setup-pytorch`")


class ResBlock(nn.Module):
    def __init__(self, i, o, e):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(8, i), nn.Conv2d(i, o, 3, padding=1)
        self.level, self.norm2 = nn.Linear(e, 2 * o), nn.GroupNorm(8, o)
        self.conv2 = nn.Conv2d(o, o, 3, padding=1)
        self.skip = nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    def forward(self, x, e):
        shift_scale = self.level(e)[:, :, None, None].chunk(2, 1)
        h = self.conv1(F.silu(self.norm1(x)))
        h = F.silu(torch.addcmul(shift_scale[1], self.norm2(h), shift_scale[0] + 1))
        return self.skip(x) + self.conv2(h)


class Attention(nn.Module):
    def __init__(self, c, heads=2):
        super().__init__()
        self.heads, self.norm = heads, nn.GroupNorm(8, c)
        self.qkv, self.project = nn.Conv2d(c, 3 * c, 1), nn.Conv2d(c, c, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w).transpose(-1, -2)
        out = F.scaled_dot_product_attention(*qkv.unbind(1))
        return x + self.project(out.transpose(-1, -2).reshape(b, c, h, w))


class UNet(nn.Module):
    """The `cpu` preset: widths 48 and 96 on 2 × 2 patches, two blocks a level, attention at 7 × 7."""

    def __init__(self, widths=(48, 96), blocks=2, attention=(False, True), e=128):
        super().__init__()
        self.register_buffer("frequencies", torch.exp(torch.linspace(math.log(0.25), math.log(8), 32)), persistent=False)
        self.first, self.second = nn.Linear(64, e), nn.Linear(e, e)
        self.stem = nn.Conv2d(4, widths[0], 3, padding=1)
        self.down, self.up, c = nn.ModuleList(), nn.ModuleList(), widths[0]
        for i, o in enumerate(widths):
            stages = nn.ModuleList()
            for _ in range(blocks):
                stages += [ResBlock(c, o, e), Attention(o) if attention[i] else None]
                c = o
            resample = nn.Conv2d(c, c, 3, stride=2, padding=1) if i + 1 < len(widths) else None
            self.down.append(nn.ModuleList([stages, resample]))
        self.middle = nn.ModuleList([ResBlock(c, c, e), Attention(c), ResBlock(c, c, e)])
        for i in reversed(range(len(widths))):
            stages = nn.ModuleList()
            for j in range(blocks):
                stages += [ResBlock(c + (widths[i] if j == 0 else 0), widths[i], e), Attention(widths[i]) if attention[i] else None]
                c = widths[i]
            resample = nn.Conv2d(c, widths[i - 1], 3, padding=1) if i else None
            self.up.append(nn.ModuleList([stages, resample]))
            c = widths[i - 1] if i else c
        self.norm, self.out = nn.GroupNorm(8, c), nn.Conv2d(c, 4, 3, padding=1)

    def forward(self, x, c_noise):
        dtype = self.stem.weight.dtype
        angles = c_noise[:, None] * self.frequencies.float()
        e = torch.cat([angles.cos(), angles.sin()], 1).to(dtype)
        e = F.silu(self.second(F.silu(self.first(e))))
        h, skips = self.stem(F.pixel_unshuffle(x.to(dtype), 2)), []
        for stages, resample in self.down:
            for block, attention in zip(stages[::2], stages[1::2]):
                h = block(h, e)
                h = attention(h) if attention is not None else h
            skips.append(h)
            h = resample(h) if resample is not None else h
        h = self.middle[2](self.middle[1](self.middle[0](h, e)), e)
        for stages, resample in self.up:
            h = torch.cat([h, skips.pop()], 1)
            for block, attention in zip(stages[::2], stages[1::2]):
                h = block(h, e)
                h = attention(h) if attention is not None else h
            h = resample(F.interpolate(h, scale_factor=2, mode="nearest")) if resample is not None else h
        return F.pixel_shuffle(self.out(F.silu(self.norm(h))), 2).float()


def time_pytorch(precision, layout, batch, steps):
    """Seconds of each of `steps` training steps. bf16 is either autocast or, as dale does it, a bf16 copy of f32 masters."""
    torch.manual_seed(0)
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
    return seconds, sum(p.numel() for p in parameters)


def time_dale(program, precision, steps):
    command = [program, "bench-step", "mnist", "--preset", "cpu", "--steps", str(steps), "--set", "training.batch=128", "--set", f"training.precision={precision}"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found["seconds"], found["parameters"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="target/release/dale")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(len(__import__("os").sched_getaffinity(0)))
    rows = []
    for precision in ("f32", "bf16"):
        layouts = ["contiguous", "channels-last"]
        if precision == "bf16":
            layouts = [f"{layout}, {way}" for layout in layouts for way in ("autocast", "copy")]
        times = {name: [] for name in ["dale", *layouts]}
        for _ in range(options.rounds):
            seconds, ours = time_dale(options.program, precision, options.steps)
            times["dale"] += seconds
            for layout in layouts:
                seconds, theirs = time_pytorch(precision, layout, 128, options.steps)
                times[layout] += seconds
        assert ours == theirs, f"different networks: {ours} and {theirs} parameters"
        median = {name: statistics.median(values) for name, values in times.items()}
        quartiles = {name: statistics.quantiles(values, n=4)[::2] for name, values in times.items()}
        layout = min(layouts, key=median.get)
        rows.append({"precision": precision, "parameters": ours, "median": median, "quartiles": quartiles, "layout": layout,
                     "steps": len(times["dale"]), "ratio": median["dale"] / median[layout]})
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    about = f"{cpu}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}, batch 128, {rows[0]['parameters']:,} parameters"
    lines = ["**One training step: dale against PyTorch eager (fused Adam, for-each EMA)**", "",
             "| precision | dale, s | PyTorch, s | its best way | dale / PyTorch |", "| --- | ---: | ---: | --- | ---: |"]
    for row in rows:
        show = lambda name: f"{row['median'][name]:.3f} ({row['quartiles'][name][0]:.3f}–{row['quartiles'][name][1]:.3f})"
        lines.append(f"| {row['precision']} | {show('dale')} | {show(row['layout'])} | {row['layout']} | {row['ratio']:.2f} |")
    lines += ["", f"Median and quartiles of {rows[0]['steps']} steps each; {about}."]
    print("\n".join(lines))
    folder = Path("results/bench")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pytorch-step.md").write_text("\n".join(lines) + "\n")
    (folder / "pytorch-step.json").write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")
    worst = max(row["ratio"] for row in rows)
    if worst > 1.05:
        sys.exit(f"bench-pytorch: dale is {worst:.2f} times slower at one precision; the limit is 1.05")


if __name__ == "__main__":
    main()
