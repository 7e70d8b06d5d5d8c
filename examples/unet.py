"""dale's U-Net in PyTorch: loads the weights that dale writes and computes the same. Layout: docs/weights.md.

    python examples/unet.py results/mnist-cpu/weights.safetensors        (needs torch, numpy and safetensors)
"""

import json
import math
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F


class ResBlock(nn.Module):
    def __init__(self, i, o, e, groups, dropout):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, i), nn.Conv2d(i, o, 3, padding=1)
        self.level, self.norm2 = nn.Linear(e, 2 * o), nn.GroupNorm(groups, o)
        self.conv2, self.dropout = nn.Conv2d(o, o, 3, padding=1), nn.Dropout(dropout)
        self.skip = nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    def forward(self, x, e):
        scale, shift = self.level(e)[:, :, None, None].chunk(2, 1)
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        return self.skip(x) + self.conv2(self.dropout(F.silu(torch.addcmul(shift, h, scale + 1))))


class Attention(nn.Module):
    def __init__(self, c, groups, heads):
        super().__init__()
        self.heads, self.norm = heads, nn.GroupNorm(groups, c)
        self.qkv, self.project = nn.Conv2d(c, 3 * c, 1), nn.Conv2d(c, c, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        qkv = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w).transpose(-1, -2)
        out = F.scaled_dot_product_attention(*qkv.unbind(1))
        return x + self.project(out.transpose(-1, -2).reshape(b, c, h, w))


class UNet(nn.Module):
    """From the `network` of a weights file's header."""

    def __init__(self, channels=1, size=28, patch=2, widths=(48, 96), blocks=2, decoder_blocks=2, attention=(False, True),
                 heads=2, embedding=128, groups=8, dropout=0.0, classes=0):
        super().__init__()
        folded, levels, e = channels * patch * patch, range(len(widths)), embedding
        block = lambda i, o: ResBlock(i, o, e, groups, dropout)

        def stages(level, inputs):
            made = nn.ModuleDict({str(j): block(i, widths[level]) for j, i in enumerate(inputs)})
            if attention[level]:
                for stage in made.values():
                    stage.attention = Attention(widths[level], groups, heads)
            return made

        self.patch, self.any_class = patch, classes
        self.embedding = nn.ModuleDict({"first": nn.Linear(64, e), "second": nn.Linear(e, e)})
        self.classes = nn.Embedding(classes + 1, e) if classes else None
        self.stem, c = nn.Conv2d(folded, widths[0], 3, padding=1), widths[0]
        self.down, self.up = nn.ModuleDict(), nn.ModuleDict()
        for i in levels:
            self.down[str(i)] = stages(i, [c] + [widths[i]] * (blocks - 1))
            c = widths[i]
            if i + 1 < len(widths):
                self.down[str(i)]["resample"] = nn.Conv2d(c, c, 3, stride=2, padding=1)
        self.middle = nn.ModuleDict({"0": block(c, c), "attention": Attention(c, groups, heads), "1": block(c, c)})
        for i in reversed(levels):
            self.up[str(i)] = stages(i, [c + widths[i]] + [widths[i]] * (decoder_blocks - 1))
            c = widths[max(i - 1, 0)]
            if i:
                self.up[str(i)]["resample"] = nn.Conv2d(widths[i], c, 3, padding=1)
        self.out = nn.ModuleDict({"norm": nn.GroupNorm(groups, c), "conv": nn.Conv2d(c, folded, 3, padding=1)})

    def forward(self, x, c_noise, classes=None):
        """x: [B, C, S, S] of about unit variance, c_noise: [B], the logarithm of the noise level r, classes: [B] or None."""
        dtype = self.stem.weight.dtype
        angles = c_noise[:, None].float() * torch.exp(torch.linspace(math.log(0.25), math.log(8), 32, device=x.device))
        e = self.embedding["second"](F.silu(self.embedding["first"](torch.cat([angles.cos(), angles.sin()], 1).to(dtype))))
        if self.classes is not None:
            e = e + self.classes(torch.full([len(x)], self.any_class, device=x.device) if classes is None else classes)
        e, h, skips = F.silu(e), self.stem(F.pixel_unshuffle(x.to(dtype), self.patch)), []
        through = lambda stage, h: stage.attention(stage(h, e)) if hasattr(stage, "attention") else stage(h, e)
        for level in self.down.values():
            for stage in (level[k] for k in level if k != "resample"):
                h = through(stage, h)
            skips.append(h)
            h = level["resample"](h) if "resample" in level else h
        h = self.middle["1"](self.middle["attention"](self.middle["0"](h, e)), e)
        for level in self.up.values():
            h = torch.cat([h, skips.pop()], 1)
            for stage in (level[k] for k in level if k != "resample"):
                h = through(stage, h)
            h = level["resample"](F.interpolate(h, scale_factor=2, mode="nearest")) if "resample" in level else h
        return F.pixel_shuffle(self.out["conv"](F.silu(self.out["norm"](h))), self.patch).float()


def load(path, section="ema"):
    """The network with its averaged weights in f32, and the file's header."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["dale"])
        tensors = {name.split("/", 1)[1]: file.get_tensor(name).float() for name in file.keys() if name.startswith(section + "/")}
    net = UNet(**header["network"])
    net.load_state_dict(tensors)
    return net.eval(), header


def denoise(net, header, y_bar, v):
    """E[ln x₀ | ȳ] for log pixels [B, C, S, S] at log variance v; preconditioned heads only."""
    mean, sd = header["moments"]["log_mean"], header["moments"]["log_sd"]
    u, total = y_bar - mean, v + sd**2
    raw = net(u / total**0.5, torch.full([len(u)], 0.5 * math.log(v)))
    return mean + u * sd**2 / total + raw * v**0.5 * sd / total**0.5


if __name__ == "__main__":
    net, header = load(sys.argv[1])
    print(f"{sum(p.numel() for p in net.parameters()):,} parameters, {header['step']} steps on {header['data']}")
