"""The peers, from their papers' formulas. Each returns one number per feature, larger is more relevant.

`shap` itself is not used: it brings numba and llvmlite. Its two model-agnostic estimators are a few lines each.
"""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.inspection import permutation_importance
from torch import Tensor

from benchmarks.input_relevance.start import Case

PATH_STEPS = 32  # of the integral of integrated gradients
DRAWS = 32  # of baseline and place on the path, for each row, of expected gradients
SAMPLED_ROWS, ORDERS = 128, 4  # of sampled Shapley values
REPEATS = 5  # of a permutation


def derivative(case: Case) -> Tensor:
    """Mean |x ∂a/∂x|, the gradient times the input (Shrikumar et al. 2016); a is the strongest answer."""
    x = _rows(case)
    return (x * _gradient(case, x, _strongest(case, x))).abs().mean(dim=0)


def integrated_gradients(case: Case) -> Tensor:
    """Mean |IG| from the training mean: Sundararajan et al., "Axiomatic attribution for deep networks" (2017).

    The integral of their eq. 1 by midpoints.
    """
    x = _rows(case)
    away, chosen = x - case.means, _strongest(case, x)
    total = torch.zeros_like(x)
    for step in range(PATH_STEPS):
        total += _gradient(case, case.means + (step + 0.5) / PATH_STEPS * away, chosen)
    return (away * total / PATH_STEPS).abs().mean(dim=0)


def expected_gradients(case: Case) -> Tensor:
    """Mean |SHAP|: Erion et al. (2021), eq. 3; baselines are training rows, the place on the path is uniform."""
    x = _rows(case)
    chosen, generator = _strongest(case, x), torch.Generator().manual_seed(case.seed)
    pool = torch.from_numpy(case.data.train[0])
    total = torch.zeros_like(x)
    for _ in range(DRAWS):
        baseline = pool[torch.randint(len(pool), (len(x),), generator=generator)]
        alpha = torch.rand(len(x), 1, generator=generator)
        total += (x - baseline) * _gradient(case, baseline + alpha * (x - baseline), chosen)
    return (total / DRAWS).abs().mean(dim=0)


@torch.no_grad()
def sampled_shapley(case: Case) -> Tensor:
    """Mean |SHAP| from random orders, each walked both ways; the permutation estimator of Lundberg & Lee's values.

    Štrumbelj & Kononenko (2014), Algorithm 1, with antithetic orders and the training mean as the baseline.
    """
    x = _rows(case)[:SAMPLED_ROWS]
    chosen, generator = _strongest(case, x), torch.Generator().manual_seed(case.seed)
    total = torch.zeros_like(x)
    for _ in range(ORDERS):
        order = torch.randperm(case.features, generator=generator)
        for walk in (order, order.flip(0)):
            total += _walk(case, x, walk, chosen)
    return (total / (2 * ORDERS)).abs().mean(dim=0)


def _walk(case: Case, x: Tensor, order: Tensor, chosen: Tensor) -> Tensor:
    """Return what each feature adds when it joins those before it in the order [rows, features]."""
    present = case.means.expand_as(x).clone()
    added = torch.zeros_like(x)
    before = _pick(case.answers(present), chosen)
    for feature in order.tolist():
        present[:, feature] = x[:, feature]
        after = _pick(case.answers(present), chosen)
        added[:, feature], before = after - before, after
    return added


def permutation(case: Case) -> Tensor:
    """Rise of the loss when a column is shuffled (Breiman 2001; Fisher et al. 2019), by scikit-learn."""
    split = case.explained()
    importances = permutation_importance(
        _Estimator(case),
        split.inputs["x"],
        split.labels,
        scoring=_less_loss,
        n_repeats=REPEATS,
        random_state=case.seed,
    )
    return torch.from_numpy(importances.importances_mean).float()


@dataclass
class _Estimator:
    """A model as scikit-learn wants it."""

    case: Case

    def fit(self, *_: object) -> None:
        raise NotImplementedError

    @torch.no_grad()
    def predict(self, x: np.ndarray) -> Tensor:
        return self.case.answers(torch.from_numpy(x))


def _less_loss(estimator: _Estimator, x: np.ndarray, labels: np.ndarray) -> float:
    values = {"logits": estimator.predict(x)}
    return -float(estimator.case.objective.loss(values, torch.from_numpy(labels), {}))


def random(case: Case) -> Tensor:
    """No knowledge at all."""
    return torch.rand(case.features, generator=torch.Generator().manual_seed(case.seed))


def _rows(case: Case) -> Tensor:
    return torch.from_numpy(case.explained().inputs["x"])


@torch.no_grad()
def _strongest(case: Case, x: Tensor) -> Tensor:
    return case.answers(x).argmax(dim=1, keepdim=True)


def _pick(answers: Tensor, chosen: Tensor) -> Tensor:
    return answers.gather(1, chosen)[:, 0]


def _gradient(case: Case, x: Tensor, chosen: Tensor) -> Tensor:
    """Return ∂a/∂x of the chosen answers [rows, features]."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(_pick(case.answers(x), chosen).sum(), x)[0]


PEERS = {
    "derivative": derivative,
    "permutation importance": permutation,
    "integrated gradients": integrated_gradients,
    "expected gradients (SHAP)": expected_gradients,
    "sampled Shapley (SHAP)": sampled_shapley,
    "random": random,
}
