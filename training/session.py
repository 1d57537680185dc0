"""One run of train.py: its device, output folder, clock, log and report."""
import json
import os
import time

import torch
import torch._dynamo

START = time.time()


class OutOfTime(Exception):
    """This command must end; the next one goes on from the checkpoints."""


class Session:
    def __init__(self, folder, stop_after=0, cpu=False, compiles=True):
        """stop_after: seconds after which the process should have ended; 0: never."""
        self.folder, self.stop_after = folder, stop_after
        self.cuda = torch.cuda.is_available() and not cpu
        self.device = torch.device("cuda" if self.cuda else "cpu")
        self.compiles = compiles and self.cuda
        os.makedirs(folder, exist_ok=True)
        self.report = {}
        if self.has("report.json"):
            with open(self.path("report.json"), encoding="utf-8") as f:
                self.report = json.load(f)
        if self.cuda:
            torch.backends.cudnn.benchmark = True
            torch.set_float32_matmul_precision("high")
            torch._dynamo.config.recompile_limit = 64   # the stages call one block in several modes

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def has(self, name):
        return os.path.exists(self.path(name))

    def say(self, text, **values):
        shown = "".join(f" {k}={v:.5g}" if isinstance(v, float) else f" {k}={v}" for k, v in values.items())
        line = f"[{time.time() - START:6.1f} s] {text}{shown}"
        print(line, flush=True)
        with open(self.path("train.log"), "a", encoding="utf-8") as f:
            f.write(line + "\n")

    def record(self, **values):
        self.report.update(values)
        with open(self.path("report.tmp"), "w", encoding="utf-8") as f:
            json.dump(self.report, f, indent=1)
        os.replace(self.path("report.tmp"), self.path("report.json"))

    def save(self, value, name):
        torch.save(value, self.path(name + ".tmp"))
        os.replace(self.path(name + ".tmp"), self.path(name))

    def load(self, name):
        return torch.load(self.path(name), map_location=self.device, weights_only=False)

    def ends_within(self, seconds):
        return bool(self.stop_after) and time.time() - START > self.stop_after - seconds

    def synchronise(self):
        if self.cuda:
            torch.cuda.synchronize()

    def autocast(self):
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.cuda)

    def compiled(self, function):
        """The function compiled, where that is on; without compilation it is slower and otherwise the same."""
        return torch.compile(function, dynamic=False) if self.compiles else function
