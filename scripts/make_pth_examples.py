"""Small files of torch.save for the tests of `models::pth`: crates/models/tests/pth. Written with PyTorch 2.11.0.

    .venv/bin/python scripts/make_pth_examples.py
"""

import json
from collections import OrderedDict
from pathlib import Path

import torch

OUT = Path(__file__).resolve().parent.parent / "crates/models/tests/pth"


class Calls:
    """What a malicious file does: unpickling it would run a command."""

    def __reduce__(self):
        import os

        return (os.system, ("touch executed",))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3, bias=False), torch.nn.BatchNorm2d(3))
    state = OrderedDict(module.state_dict())
    state._metadata = module.state_dict()._metadata
    shared = torch.arange(12, dtype=torch.float32)
    state["transposed"] = shared.view(3, 4).t()
    state["part"] = shared[5:9]
    state["parameter"] = torch.nn.Parameter(torch.tensor([[1.5, -2.0]]))
    state["half"] = torch.tensor([0.1, -3.0], dtype=torch.float16)
    state["bfloat16"] = torch.tensor([0.1, 1e30], dtype=torch.bfloat16)
    state["double"] = torch.tensor([0.1, 1e-30], dtype=torch.float64)
    state["integers"] = torch.tensor([-7, 1 << 20], dtype=torch.int64)
    state["truth"] = torch.tensor([True, False])
    state["number"] = torch.tensor(2.5)
    state["empty"] = torch.zeros(0, 4)
    for name, zip_ in (("archive.pth", True), ("legacy.pth", False)):
        torch.save(state, OUT / name, _use_new_zipfile_serialization=zip_)
        torch.save({"state_dict": dict(state), "epoch": 3, "loss": 0.25}, OUT / f"nested-{name}", _use_new_zipfile_serialization=zip_)
        torch.save({"weight": torch.ones(2), "other": Calls()}, OUT / f"calls-{name}", _use_new_zipfile_serialization=zip_)
    torch.save([1, 2, 3], OUT / "list.pth")
    wanted = {k: {"shape": list(v.shape), "values": v.detach().double().reshape(-1).tolist()} for k, v in state.items()}
    (OUT / "expected.json").write_text(json.dumps({"torch": torch.__version__, "tensors": wanted}, indent=1) + "\n")


if __name__ == "__main__":
    main()
