"""Writes interpolate_planes.json: a few planes, and the results of torch's interpolate."""

import json
import pathlib

import torch
import torch.nn.functional as F

generator = torch.Generator().manual_seed(7)
cases = []
# In the last sizes, torch rounds an index of the nearest point up to an integer.
SIZES = [(2, 3, 4, 6), (4, 5, 6, 7), (3, 2, 3, 5), (1, 1, 3, 2), (1, 56, 1, 80), (72, 1, 80, 1)]
for index, (rows, columns, height, width) in enumerate(SIZES):
    planes = torch.randn(1, 2, rows, columns, generator=generator)
    for mode in ["nearest"] if index >= 4 else ["nearest", "bilinear", "bicubic"]:
        options = {} if mode == "nearest" else {"align_corners": False}
        made = F.interpolate(planes, size=(height, width), mode=mode, **options)
        cases.append(
            {
                "mode": mode,
                "shape": list(planes.shape),
                "planes": planes.flatten().tolist(),
                "size": [height, width],
                "made": made.flatten().tolist(),
            }
        )
path = pathlib.Path(__file__).with_name("interpolate_planes.json")
path.write_text(json.dumps({"torch": torch.__version__, "cases": cases}) + "\n")
