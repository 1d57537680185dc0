"""One run of train.py: its processes, device, output folder, clock, log and report."""
import json
import os
import time

import torch
import torch._dynamo
import torch.distributed as distributed

START = time.time()


class OutOfTime(Exception):
    """Raised if this command must end. The next command continues from the checkpoints."""


class Session:
    """All processes of a run (torchrun starts them; without it there is one) hold the same networks and take the same
    steps, each on pictures of its own, one GPU each. The first alone writes what they share, and its clock counts."""

    def __init__(self, folder, stop_after=0, cpu=False, compiles=True):
        """stop_after: seconds after which the process should have ended; 0: never."""
        self.folder, self.stop_after = folder, stop_after
        self.cuda = torch.cuda.is_available() and not cpu
        self.number, self.processes = (int(os.environ.get(k, d)) for k, d in (("RANK", "0"), ("WORLD_SIZE", "1")))
        self.first = self.number == 0
        self.device = torch.device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if self.cuda else "cpu")
        if self.cuda:
            torch.cuda.set_device(self.device)
            torch.backends.cudnn.benchmark = True
            torch.set_float32_matmul_precision("high")
            torch._dynamo.config.recompile_limit = 64   # the stages call the same block in several modes
        if self.processes > 1:
            distributed.init_process_group("nccl" if self.cuda else "gloo")
        self.compiles = compiles and self.cuda
        os.makedirs(folder, exist_ok=True)
        self.report = {}
        if self.has("report.json"):
            with open(self.path("report.json"), encoding="utf-8") as f:
                self.report = json.load(f)

    def close(self):
        if self.processes > 1:
            distributed.destroy_process_group()

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def own(self, name):
        """The name of a file of which each process has its own."""
        return f"{self.number}_{name}"

    def has(self, name):
        return os.path.exists(self.path(name))

    def say(self, text, **values):
        if not self.first:
            return
        shown = "".join(f" {k}={v:.5g}" if isinstance(v, float) else f" {k}={v}" for k, v in values.items())
        line = f"[{time.time() - START:6.1f} s] {text}{shown}"
        print(line, flush=True)
        with open(self.path("train.log"), "a", encoding="utf-8") as f:
            f.write(line + "\n")

    def record(self, **values):
        if not self.first:
            return
        self.report.update(values)
        with open(self.path("report.tmp"), "w", encoding="utf-8") as f:
            json.dump(self.report, f, indent=1)
        os.replace(self.path("report.tmp"), self.path("report.json"))

    def save(self, value, name):
        torch.save(value, self.path(name + ".tmp"))
        os.replace(self.path(name + ".tmp"), self.path(name))

    def save_shared(self, value, name):
        """A value that all processes share. The first process writes it, and the others wait for it."""
        if self.first:
            self.save(value, name)
        if self.processes > 1:
            distributed.barrier()

    def load(self, name):
        return torch.load(self.path(name), map_location=self.device, weights_only=False)

    def average(self, tensors):
        """Replaces each tensor by its mean over all processes."""
        if self.processes == 1:
            return
        flat = torch.cat([t.flatten() for t in tensors])
        distributed.all_reduce(flat)
        parts = (flat / self.processes).split([t.numel() for t in tensors])
        torch._foreach_copy_(tensors, [part.view_as(t) for part, t in zip(parts, tensors)])

    def agreed(self, value):
        """Returns the first process's value of a number in all processes."""
        if self.processes == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, 0)
        return shared.item()

    def ends_within(self, seconds):
        """Every process must call this, and all get the same answer."""
        return bool(self.stop_after) and self.agreed(time.time() - START) > self.stop_after - seconds

    def synchronise(self):
        if self.cuda:
            torch.cuda.synchronize()

    def autocast(self):
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.cuda)

    def compiled(self, function):
        """The function, compiled if compilation is on. Without compilation it is only slower."""
        return torch.compile(function, dynamic=False) if self.compiles else function
