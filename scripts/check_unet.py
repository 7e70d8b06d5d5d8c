"""dale's U-Net against examples/unet.py: the same safetensors, the same output to 1e-5, for the shipped weights and for a small network
with classes. Writes what PyTorch gives for the latter to crates/models/tests/unet-pytorch.json, where a test compares it again.

    python scripts/check_unet.py            (see `just check-unet`)
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import safetensors
import torch

sys.path.insert(0, "examples")
import unet

PROGRAM = "target/release/examples/unet_output"


def ours(path):
    return torch.tensor(json.loads(subprocess.run([PROGRAM, "run", path], check=True, capture_output=True, text=True).stdout))


def theirs(path):
    net, header = unet.load(path)
    n = header["network"]
    shape = (2, n["channels"], n["size"], n["size"])
    x = (2 * torch.sin(0.37 * torch.arange(torch.Size(shape).numel(), dtype=torch.float64))).float().reshape(shape)
    classes = torch.tensor([1, n["classes"]]) if n.get("classes") else None
    with torch.no_grad():
        return net(x, torch.tensor([-1.5, 0.5]), classes).flatten()


def main():
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        small = str(Path(folder) / "small.safetensors")
        subprocess.run([PROGRAM, "small", small], check=True)
        for name, path in [("shipped", "results/mnist-cpu/weights.safetensors"), ("small, with classes", small)]:
            a, b = ours(path), theirs(path)
            error = ((a - b).abs().max() / b.abs().max()).item()
            print(f"{name}: largest difference {error:.1e} of the largest output, {len(b)} numbers")
            if not error < 1e-5:
                failed.append(name)
        about = {"torch": torch.__version__, "safetensors": safetensors.__version__, "by": "scripts/check_unet.py"}
        text = json.dumps({"about": about, "output": [float(f"{v:.9g}") for v in theirs(small)]})
        Path("crates/models/tests/unet-pytorch.json").write_text(text + "\n")
    if failed:
        sys.exit(f"check-unet: more than 1e-5 apart: {', '.join(failed)}")


if __name__ == "__main__":
    main()
