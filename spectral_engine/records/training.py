"""How a model is trained, and in which form."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spectral_engine.records.part import Part

Trains = Literal["both", "eigenvalues", "svd", "qr"]
Precision = Literal["auto", "float32", "bfloat16"]


class Training(Part):
    """How to train. Every field has a default that works."""

    epochs: int = Field(
        30,
        ge=0,
        le=10_000,
        description="epochs of the whole path, cooling included; with 0 nothing trains: prune cuts at once, by damage "
        "that is measured, and solves what stays by least squares",
    )
    batch_size: int = Field(128, ge=1, le=65_536)
    learning_rate: float | None = Field(None, gt=0.0, description="found when not given")
    weight_decay: float = Field(0.0, ge=0.0)
    distill: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="weight of the original model's outputs in the loss; times the probability that the original gives "
        "to a row's label",
    )
    temperature: float = Field(2.0, gt=0.0, description="of the distillation")
    gradient_clip: float = Field(1.0, gt=0.0, description="largest norm of one step's gradient")
    swap_noise: float | None = Field(
        None,
        ge=0.0,
        lt=1.0,
        description="share of the float inputs that are another row's while training; found when not given, 0 for none",
    )
    class_weights: Literal["auto", "none", "balanced"] = Field(
        "auto",
        description="weigh rows by how rare their class is; auto does so where the metric counts classes alike",
    )
    precision: Precision = Field(
        "auto", description="what forward passes compute in; auto is bfloat16 on a GPU that has it"
    )
    checkpoint_activations: Literal["auto", "always", "never"] = Field(
        "auto",
        description="keep about the square root of the values of a forward pass, and compute the rest again for the "
        "gradient: a third more time, the same results; auto does so where they would take half of the free memory",
    )
    average: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="share of their past that averaged weights keep while cooling",
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="end a cooling after so many epochs without a better validation metric",
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    devices: int = Field(
        1,
        ge=1,
        le=64,
        description="processes that share the rows of each batch: on as many GPUs from `device` on, or on the cores of "
        "a CPU. The gradients are those of one device, but for rounding",
    )


class Spectral(Part):
    """The parametrization w_ij = (λ_in_j − λ_out_i) φ_ij."""

    train: Trains = Field(
        "both",
        description="eigenvalues and eigenvectors; eigenvalues alone; or eigenvalues with the singular values (svd) "
        "or the triangular factor (qr) of the eigenvectors. Biases and normalisations train in all",
    )
    two_sided: bool = Field(False, description="train λ_in as well as λ_out")
    init: Literal["pretrained", "fresh"] = Field(
        "pretrained", description="start from the uploaded weights, or draw new ones"
    )
