"""Adam with weight decay in the gradient (Kingma and Ba, ICLR 2015), by PyTorch's fused step.

``torch.optim.Adam`` computes the same, but its first call imports PyTorch's compiler: over a second in every process,
as long as a quarter of a training of the demo.
"""

import torch


class Adam:
    """Updates ``parameters`` in place from their gradients."""

    def __init__(self, parameters, weight_decay, betas=(0.9, 0.999), eps=1e-8):
        self.parameters = list(parameters)
        self.weight_decay, self.betas, self.eps = weight_decay, betas, eps
        self.mean = [torch.zeros_like(p) for p in self.parameters]
        self.square = [torch.zeros_like(p) for p in self.parameters]
        self.steps = [torch.zeros((), device=p.device) for p in self.parameters]  # how many each has had

    def zero_grad(self):
        """Forget the gradients."""
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self, lr):
        """One update with learning rate ``lr`` of the parameters that have a gradient."""
        have = [i for i, p in enumerate(self.parameters) if p.grad is not None]
        steps = [self.steps[i] for i in have]
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            [self.parameters[i] for i in have],
            [self.parameters[i].grad for i in have],
            [self.mean[i] for i in have],
            [self.square[i] for i in have],
            [],
            steps,
            lr=lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=self.weight_decay,
            eps=self.eps,
            amsgrad=False,
            maximize=False,
        )

    def state(self):
        """What :meth:`load` needs to go on from here."""
        return {"mean": self.mean, "square": self.square, "steps": self.steps}

    @torch.no_grad()
    def load(self, state):
        """Go on from ``state``."""
        for name, tensors in state.items():
            for own, loaded in zip(getattr(self, name), tensors, strict=True):
                own.copy_(loaded)
