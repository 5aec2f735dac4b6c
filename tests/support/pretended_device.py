"""A CUDA device that is not there: tensors that say `cuda:0`, hold real values on the CPU, and refuse to meet others.

`with pretended_cuda(): ...` runs code as on a GPU, in the CPU's arithmetic. As there, an operation on tensors of two
devices raises, but for copies, for indices and for CPU scalars in pointwise operations; so does `numpy()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

CUDA, CPU = torch.device("cuda:0"), torch.device("cpu")
# Where CUDA's kernels take tensors of the CPU: copies, and indices.
MIXING = {"copy_", "_to_copy", "index", "index_put", "index_put_", "_index_put_impl_"}


class Pretended(Tensor):
    """A tensor that says it is on `cuda:0`; for torch's C++ side it is on `meta`, which asks for no driver."""

    @staticmethod
    def __new__(cls, on_cpu: Tensor) -> Pretended:
        made: Pretended = Tensor._make_wrapper_subclass(
            cls, on_cpu.size(), strides=on_cpu.stride(), storage_offset=on_cpu.storage_offset(),
            dtype=on_cpu.dtype, layout=on_cpu.layout, device="meta", requires_grad=False,
        )  # fmt: skip
        made.on_cpu = on_cpu
        return made

    on_cpu: Tensor
    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_meta = property(lambda self: False)
    is_cpu = property(lambda self: False)

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def tolist(self) -> Any:
        return self.on_cpu.tolist()

    def new_tensor(self, data: Any, **options: Any) -> Tensor:
        return Pretended(self.on_cpu.new_tensor(data, **options))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [v for v in tree_flatten((args, kwargs))[0] if isinstance(v, Tensor)]
    pretended = any(isinstance(v, Pretended) for v in tensors)
    name = func._schema.name.partition("::")[2]
    if pretended and name not in MIXING:
        _refuse_others(func, tensors)
    asked = kwargs.get("device")
    if asked is not None:
        pretended = torch.device(asked).type in {"cuda", "meta"}
        kwargs = {**kwargs, "device": CPU}
    cpu_args, cpu_kwargs = tree_map(_on_cpu, (args, kwargs))
    returned = func(*cpu_args, **cpu_kwargs)
    if name.endswith("_") and isinstance(returned, Tensor):
        return args[0]
    if not pretended:
        return returned
    return tree_map(lambda v: Pretended(v) if isinstance(v, Tensor) else v, returned)


def _on_cpu(value: Any) -> Any:
    return value.on_cpu if isinstance(value, Pretended) else value


def _refuse_others(func: Any, tensors: list[Tensor]) -> None:
    pointwise = torch.Tag.pointwise in func.tags
    for tensor in tensors:
        if not isinstance(tensor, Pretended) and not (pointwise and tensor.dim() == 0):
            raise RuntimeError(
                f"{func}: Expected all tensors to be on the same device, but found cuda:0 and cpu"
            )


def _take_over(self: Tensor, value: Tensor) -> None:
    """Do what `tensor.data = value` does across devices."""
    if isinstance(self, Pretended) or isinstance(value, Pretended):
        with torch.no_grad():
            given = torch.nn.Parameter(value.detach(), self.requires_grad)
        torch.utils.swap_tensors(self, given)
    else:
        Tensor.__base__.data.__set__(self, value)  # type: ignore[union-attr]


_made_in_torch = torch.tensor


def _tensor(data: Any, *, device: Any = None, **options: Any) -> Tensor:
    """Do what `torch.tensor` does, which moves what it makes out of the sight of modes."""
    made = _made_in_torch(data, **options)
    return made if device is None else made.to(device)


@contextmanager
def pretended_cuda() -> Iterator[torch.device]:
    """Pretend that there is one GPU, and yield it."""
    swaps = torch.__future__.get_swap_module_params_on_conversion()
    foreach = _foreach_utils._get_foreach_kernels_supported_devices
    data = property(Tensor.data.__get__, _take_over)  # type: ignore[attr-defined]
    with ExitStack() as stack:
        answers = {
            "_lazy_init": None,
            "is_available": True,
            "device_count": 1,
            "is_bf16_supported": False,
        }
        for name, answer in answers.items():
            stack.enter_context(patch.object(torch.cuda, name, lambda *_, answer=answer: answer))
        stack.enter_context(patch.object(Tensor, "data", data, create=True))
        stack.enter_context(patch.object(torch, "tensor", _tensor))
        stack.enter_context(
            patch.object(
                _foreach_utils,
                "_get_foreach_kernels_supported_devices",
                lambda: [*foreach(), "meta"],
            )
        )
        torch.__future__.set_swap_module_params_on_conversion(True)
        try:
            with _Mode():
                yield CUDA
        finally:
            torch.__future__.set_swap_module_params_on_conversion(swaps)
