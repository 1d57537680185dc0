"""The parts that all stages share: optimisers, averaged weights, wall-clock budget, checkpoints."""
import contextlib
import math
import time

import numpy as np
import torch

from muon import Muon


def rate_at(share, warm=0.02, floor=0.01):
    """Learning rate factor at a share of the budget: a linear rise, then a linear fall."""
    if share < warm:
        return share / warm
    return floor + (1 - floor) * max(0.0, (1 - share) / (1 - warm))


class Trainer:
    def __init__(self, session, name, networks, seconds, lr, muon_lr, is_hidden, ema, seed):
        """networks: {name: module}, of which the parameters that require a gradient are trained. is_hidden: whether Muon trains the matrix of this name; AdamW trains the rest."""
        self.session, self.name, self.seconds, self.decay = session, name, seconds, ema
        self.named = {f"{n}.{k}": p for n, net in networks.items() for k, p in net.named_parameters() if p.requires_grad}
        self.params = list(self.named.values())
        hidden = [p for k, p in self.named.items() if p.ndim >= 2 and is_hidden(k)]
        other = [p for k, p in self.named.items() if p.ndim < 2 or not is_hidden(k)]
        groups = [dict(params=[p for p in other if p.ndim >= 2], weight_decay=0.01),
                  dict(params=[p for p in other if p.ndim < 2], weight_decay=0.0)]
        self.optimisers = [torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99), fused=session.cuda), Muon(hidden, muon_lr)]
        self.rates = [[g["lr"] for g in o.param_groups] for o in self.optimisers]
        self.average = [p.detach().clone() for p in self.params]
        self.step, self.spent, self.history, self.seed = 0, 0.0, [], seed
        session.say(f"{name}: {sum(p.numel() for p in hidden)} parameters with Muon, "
                    f"{sum(p.numel() for p in other)} with AdamW")
        self.resume()
        # each process draws pictures of its own, and draws new ones after each resumption
        random = np.random.SeedSequence([self.seed, session.number, self.step]).generate_state(1)
        self.generator = torch.Generator(session.device).manual_seed(int(random[0]))

    def state(self):
        return dict(weights=[p.detach() for p in self.params], average=self.average, step=self.step, spent=self.spent,
                    optimisers=[o.state_dict() for o in self.optimisers], history=self.history)

    def save(self):
        self.session.save_shared(self.state(), f"state_{self.name}.pt")

    def resume(self):
        if not self.session.has(f"state_{self.name}.pt"):
            return
        state = self.session.load(f"state_{self.name}.pt")
        with torch.no_grad():
            torch._foreach_copy_(self.params, state["weights"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"]):
            optimiser.load_state_dict(saved)
        self.average, self.step, self.spent, self.history = (state[k] for k in ("average", "step", "spent", "history"))
        self.session.say(f"{self.name}: goes on at step {self.step}, {self.spent:.0f} s spent")

    @contextlib.contextmanager
    def averaged(self):
        """The averaged weights in place of the trained ones."""
        trained = [p.detach().clone() for p in self.params]
        with torch.no_grad():
            torch._foreach_copy_(self.params, self.average)
        yield
        with torch.no_grad():
            torch._foreach_copy_(self.params, trained)

    def update(self, loss):
        factor = rate_at(self.spent / self.seconds) * min(1.0, (self.step + 1) / 100)
        for optimiser, rates in zip(self.optimisers, self.rates):
            for group, rate in zip(optimiser.param_groups, rates):
                group["lr"] = rate * factor
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.session.average([p.grad for p in self.params])
        norm = torch.nn.utils.clip_grad_norm_(self.params, 1.0, foreach=True)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.params, 1 - min(self.decay, (1 + self.step) / (10 + self.step)))
        return norm

    def run(self, loss_and_parts, reserve):
        """Steps until the budget is spent. True: spent; False: this command must end, as less than `reserve` seconds are
        left of it. Saves either way. loss_and_parts() gives the loss and a dict of values for the log."""
        session, sums, count = self.session, None, 0
        every = 10 if session.cuda else 1
        last = shown = time.time()
        shown_step = self.step
        first = True
        while self.spent < self.seconds:
            loss, parts = loss_and_parts()
            norm = self.update(loss)
            values = torch.stack([v.detach().float() for v in (loss, norm, *parts.values())])
            sums, count = values if sums is None else sums + values, count + 1
            if self.step % every and not first:
                continue
            session.synchronise()
            now = time.time()
            if first:   # compilation is not training time
                session.say(f"{self.name}: first step took {now - shown:.1f} s")
                first, last, shown, shown_step = False, now, now, self.step
                continue
            self.spent = session.agreed(self.spent + now - last)
            last = now
            if now - shown > 10:
                mean = (sums / count).tolist()
                if not all(map(math.isfinite, mean)):
                    raise ArithmeticError(f"{self.name}: the loss must be finite: it is {mean[0]} at step {self.step}")
                record = dict(step=self.step, seconds=round(self.spent, 1), loss=mean[0], norm=mean[1],
                              **dict(zip(parts, mean[2:])),
                              steps_per_second=round((self.step - shown_step) / (now - shown), 2))
                self.history.append(record)
                session.say(self.name, **record)
                sums, count, shown, shown_step = None, 0, now, self.step
            if session.ends_within(reserve):
                break
        self.save()
        done = self.spent >= self.seconds
        session.say(f"{self.name}: {'done' if done else 'out of time'}", step=self.step, seconds=round(self.spent, 1))
        session.record(**{self.name: dict(steps=self.step, seconds=round(self.spent, 1), history=self.history)})
        return done
