"""Inception-v3 of `models` against pytorch-fid's and torch-fidelity's, on the same random weights and the same images.

The published weights need a network to fetch; the graph does not: convolutions start at random, and the stored moments of the
normalizations are those of some random images, so that every layer's output is about as large as with trained weights. The file is
read three ways: `.pth` as torch.save writes it now and as it did before 2020 (as the published file), and safetensors.
Features must agree to 1e-4 of their root mean square, class probabilities to 1e-4. Writes results/parity/inception.{json,md}; fails if anything is off.

    python scripts/parity_inception.py      (see `just parity-inception`)
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

try:
    import numpy as np
    import torch
    import pytorch_fid.inception as pytorch_fid
    from safetensors.torch import save_file
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
except (ImportError, OSError) as error:
    sys.exit(f"parity-inception: {error}: needs numpy, torch, torchvision, Pillow, safetensors, pytorch-fid, torch-fidelity")

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("numpy", "torch", "torchvision", "pytorch-fid", "torch-fidelity", "safetensors")
SEED = 20261126
ALLOWED = 1e-4


def random_network():
    """pytorch-fid's network with random weights; it would fetch the published ones."""
    torch.manual_seed(SEED)
    fetch = pytorch_fid.load_state_dict_from_url

    def none(*_args, **_options):
        return network.state_dict()

    build = pytorch_fid._inception_v3

    def keep(*arguments, **options):
        nonlocal network
        network = build(*arguments, **options)
        return network

    network = None
    load = torch.nn.Module.load_state_dict
    pytorch_fid.load_state_dict_from_url, pytorch_fid._inception_v3 = none, keep
    torch.nn.Module.load_state_dict = lambda *_arguments, **_options: None
    try:
        network = pytorch_fid.fid_inception_v3()
    finally:
        pytorch_fid.load_state_dict_from_url, pytorch_fid._inception_v3 = fetch, build
        torch.nn.Module.load_state_dict = load
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
        for norm in norms:
            norm.momentum = None
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
        network.train()
        for _ in range(3):
            network(torch.nn.functional.interpolate(2 * torch.rand(6, 3, 40, 40) - 1, size=(299, 299), mode="bilinear"))
    return network.eval()


def images(generator):
    """Bytes N × H × W × C of four sizes, below and above 299 pixels."""
    def smooth(shape):
        n, h, w, c = shape
        coarse = torch.from_numpy(generator.random((n, c, 7, 7), dtype=np.float32))
        fine = torch.nn.functional.interpolate(coarse, size=(h, w), mode="bicubic").clamp(0, 1)
        fine = (fine + 0.1 * torch.from_numpy(generator.standard_normal((n, c, h, w), dtype=np.float32))).clamp(0, 1)
        return (255 * fine).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()

    return {
        "grey 28 × 28": smooth((24, 28, 28, 1)),
        "colour 32 × 32": smooth((16, 32, 32, 3)),
        "colour 299 × 299": smooth((4, 299, 299, 3)),
        "colour 400 × 310": smooth((4, 400, 310, 3)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dale", type=Path, default=ROOT / "target/release/dale")
    parser.add_argument("--out", type=Path, default=ROOT / "results/parity")
    options = parser.parse_args()
    network = random_network()
    state = network.state_dict()
    rows, failed = [], []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        files = {name: folder / f"{name}" for name in ("zip.pth", "legacy.pth", "weights.safetensors")}
        torch.save(state, files["zip.pth"])
        torch.save(state, files["legacy.pth"], _use_new_zipfile_serialization=False)
        save_file({k: v.contiguous() for k, v in state.items()}, files["weights.safetensors"])

        fetch = pytorch_fid.fid_inception_v3
        pytorch_fid.fid_inception_v3 = lambda: network
        ours = pytorch_fid.InceptionV3([3], resize_input=True, normalize_input=True).eval()
        pytorch_fid.fid_inception_v3 = fetch
        fidelity = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], str(files["zip.pth"])).eval()

        def dale(images, file, resize, *more):
            out = folder / "features.npy"
            done = subprocess.run(
                [options.dale, "features", images, out, "--features", "inception", "--weights", file, "--resize", resize, *more],
                capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"parity-inception: dale: {done.stderr}")
            return np.load(out).astype(np.float64)

        def compare(name, against, file, found, wanted, what="features"):
            wanted = wanted.numpy().astype(np.float64)
            # Probabilities have a size of their own: 1.
            size = float(np.sqrt(np.mean(wanted**2))) if what == "features" else 1.0
            off = float(np.abs(found - wanted).max()) / size
            rows.append({"of": what, "images": name, "against": against, "file": file, "n": len(wanted), "rms": size, "off": off})
            if not off <= ALLOWED:
                failed.append(rows[-1])
            print(f"{what:9} {name:18} {against:15} {file:20} {off:.1e}")

        with torch.no_grad():
            for name, bytes_ in images(np.random.default_rng(SEED)).items():
                path = folder / "images.npy"
                np.save(path, bytes_)
                x = torch.from_numpy(bytes_).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
                wanted = ours(x.float() / 255)[0].squeeze(-1).squeeze(-1)
                compare(name, "pytorch-fid", "zip.pth", dale(path, files["zip.pth"], "pytorch-fid"), wanted)
                wanted, logits = fidelity(x)
                for file in files if name.startswith("grey") else ["legacy.pth"]:
                    compare(name, "torch-fidelity", file, dale(path, files[file], "tensorflow"), wanted)
                found = dale(path, files["zip.pth"], "tensorflow", "--classes")
                compare(name, "torch-fidelity", "zip.pth", found, torch.softmax(logits, 1), "classes")
    record = {"machine": platform.processor() or platform.machine(), "python": platform.python_version(), "seed": SEED, "allowed": ALLOWED,
              "versions": {name: version(name) for name in PACKAGES}, "rows": rows}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "inception.json").write_text(json.dumps(record, indent=2) + "\n")
    lines = ["# Inception-v3 beside other implementations", "",
             f"The same random weights (seed {SEED}); 2,048 features, probabilities of 1,008 classes; largest difference, of features over their root mean square, at most {ALLOWED:g}.", "",
             "| of | images | N | against | weights from | largest difference |", "| --- | --- | ---: | --- | --- | ---: |"]
    lines += [f"| {r['of']} | {r['images']} | {r['n']} | {r['against']} | {r['file']} | {r['off']:.1e} |" for r in rows]
    lines += ["", ", ".join(f"{k} {v}" for k, v in record["versions"].items()) + f", Python {record['python']}. Command: `just parity-inception`."]
    (options.out / "inception.md").write_text("\n".join(lines) + "\n")
    if failed:
        sys.exit(f"parity-inception: {len(failed)} of {len(rows)} comparisons are off")
    print(f"{len(rows)} comparisons hold")


if __name__ == "__main__":
    main()
