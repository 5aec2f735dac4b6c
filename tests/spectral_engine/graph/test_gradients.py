"""Gradients of operators against finite differences, in double precision, on ONNX's own cases."""

import functools

import pytest
import torch
from torch.autograd.gradcheck import GradcheckError, gradcheck

from spectral_engine.graph.loading import load
from spectral_engine.graph.operators import is_outside
from tests.support.backend_suite import as_value, cases, outcome_of

MOST_ELEMENTS = 400
# Off the kinks and the whole numbers that examples like to use.
ASIDE = 0.0137
# Positions of inputs that are trained through; elsewhere all that hold floats. The rest states how, not what.
TRAINED = {
    "BatchNormalization": (0, 1, 2),
    "Pad": (0,),
    "Resize": (0,),
    "RoiAlign": (0,),
    "Upsample": (0,),
    "Clip": (0,),
    "Mod": (0,),
}
# No gradient by nature, or tested elsewhere (Cast, which returns to single precision).
WITHOUT = {
    "BitCast",
    "Cast",
    "CastLike",
    "Ceil",
    "Floor",
    "Hardmax",
    "OneHot",
    "Range",
    "Round",
    "Sign",
}


def floats(case):
    given = [as_value(value) for value in case.data[0][0]]
    positions = [
        position
        for position, value in enumerate(given)
        if isinstance(value, torch.Tensor) and value.dtype == torch.float32 and value.numel()
    ]
    return given, [p for p in positions if p in TRAINED.get(case.operator, positions)]


@functools.cache
def chosen():
    """Return one small case of every operator that has floats to be trained through."""
    by_operator = {}
    for case in cases():
        alone = len(case.model.graph.node) == 1 and case.data
        if not alone or case.operator in by_operator or case.operator in WITHOUT:
            continue
        if outcome_of(case).verdict != "passed":
            continue
        if any(map(is_outside, load(case.model.SerializeToString()).nodes)):
            continue  # onnxruntime computes it, and no gradient passes
        given, positions = floats(case)
        if (
            positions
            and sum(given[p].numel() for p in positions) <= MOST_ELEMENTS
            and differentiable(case)
        ):
            by_operator[case.operator] = case
    return by_operator


def differentiable(case):
    function, values = in_double(case)
    return len(function(*values)) > 0


def in_double(case):
    given, positions = floats(case)
    names = [value.name for value in case.model.graph.input]
    module = load(case.model.SerializeToString())
    wide = [
        v.double() if isinstance(v, torch.Tensor) and v.dtype == torch.float32 else v for v in given
    ]

    def function(*values):
        inputs = dict(zip(names, wide, strict=False))
        inputs.update((names[p], v) for p, v in zip(positions, values, strict=True))
        return tuple(v for v in module(**inputs).values() if v.requires_grad)

    return function, [(wide[p] + ASIDE).requires_grad_() for p in positions]


@pytest.mark.slow
def test_gradients_of_a_hundred_operators_are_those_of_finite_differences():
    assert len(chosen()) >= 100
    wrong = {}
    for operator, case in chosen().items():
        function, values = in_double(case)
        try:
            gradcheck(function, values, fast_mode=True, atol=1e-4, rtol=1e-3)
        except GradcheckError as error:
            wrong[operator] = str(error).splitlines()[0]
    assert not wrong
