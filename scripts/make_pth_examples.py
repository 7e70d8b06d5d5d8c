"""Writes the small files of torch.save that the tests of `models::pth` read: crates/models/tests/pth.

All numbers are multiples of 1/4 that every type can hold, so the test says them again by formula. The files there were made with
torch 2.11.0 and Python 3.11. `command.pth` is what a pickle must not be able to do: Python's reader would run `echo`.

    python scripts/make_pth_examples.py [FOLDER]            (needs PyTorch: `just setup-pytorch`)
"""

import collections
import io
import os
import sys
import zipfile
from pathlib import Path

import torch

FOLDER = Path(__file__).resolve().parent.parent / "crates" / "models" / "tests" / "pth"


def quarters(*shape, dtype=torch.float32):
    """-1, -3/4, -1/2 and so on."""
    count = torch.Size(shape).numel()
    return ((torch.arange(count, dtype=torch.float64) - 4) / 4).to(dtype).reshape(shape)


def state():
    """A module's state dictionary, with its versions, and tensors of every sort besides."""
    module = torch.nn.Sequential(collections.OrderedDict(linear=torch.nn.Linear(3, 2), norm=torch.nn.BatchNorm1d(2)))
    with torch.no_grad():
        module.linear.weight.copy_(quarters(2, 3))
        module.linear.bias.copy_(quarters(2))
    module.norm.num_batches_tracked.fill_(7)
    tensors = module.state_dict()
    table = quarters(4, 5)
    tensors["table"] = table
    tensors["shared.row"] = table[2]
    tensors["shared.column"] = table[:, 3]
    tensors["shared.corner"] = table[1:3, 2:4]
    tensors["transposed"] = quarters(2, 3, 4).permute(2, 0, 1)
    tensors["expanded"] = quarters(3, 1).expand(3, 2)
    tensors["single"] = torch.tensor(2.5)
    tensors["empty"] = torch.zeros(0, 3)
    tensors["parameter"] = torch.nn.Parameter(quarters(3))
    for name in ("float64", "float16", "bfloat16"):
        tensors[name] = quarters(7, dtype=getattr(torch, name))
    for name in ("int64", "int32", "int16", "int8"):
        tensors[name] = torch.tensor([-3, 0, 100], dtype=getattr(torch, name))
    tensors["uint8"] = torch.tensor([0, 1, 255], dtype=torch.uint8)
    tensors["bool"] = torch.tensor([True, False])
    return tensors


class Command:
    def __reduce__(self):
        return os.system, ("echo executed",)


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    tensors = state()
    legacy = {"_use_new_zipfile_serialization": False}
    torch.save(tensors, folder / "zip.pth")
    torch.save(tensors, folder / "legacy.pth", **legacy)
    training = {"epoch": 3, "loss": [0.5, 1e-3], "name": "test", "state_dict": {"a": quarters(2, 2), "note": None}, "sizes": (1, {2, 3}, b"x")}
    torch.save(training, folder / "training.pth", pickle_protocol=5)
    torch.save(training, folder / "training-legacy.pth", pickle_protocol=4, **legacy)
    torch.serialization.set_crc32_options(False)
    torch.save({"a": quarters(2, 2)}, folder / "no-check-sums.pth")
    torch.serialization.set_crc32_options(True)
    torch.save({"a": quarters(2, 2), "b": Command()}, folder / "command.pth")
    torch.save({"a": quarters(2, 2), "b": Command()}, folder / "command-legacy.pth", **legacy)
    torch.save(torch.nn.Linear(1, 1), folder / "module.pth")
    plain = io.BytesIO()
    torch.save({"a": quarters(2, 2)}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(folder / "compressed.pth", "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(zipfile.ZipInfo(entry.filename), source.read(entry), zipfile.ZIP_DEFLATED)
    for path in sorted(folder.glob("*.pth")):
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
