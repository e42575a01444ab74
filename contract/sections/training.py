"""`train:`, the fine-tuning loop."""

from typing import Self

from pydantic import Field, model_validator

from contract.policy import Limited


class TrainFields(Limited):
    """The fine-tuning loop."""

    ranks: int = Field(2, ge=1, description="processes that train together")
    launcher: str = Field("spark", description="spark (TorchDistributor), torchrun or process (one rank, in process)")
    epochs: int = Field(8, ge=1, description="most passes over the training rows")
    batch: int = Field(32, ge=1, description="rows of a step, per rank")
    lr: float = Field(0.001, gt=0, description="largest; a lower one forgets less of what the live version knew")
    weight_decay: float = Field(0.01, ge=0, description="of AdamW, decoupled")
    warmup_share: float = Field(0.1, ge=0, lt=1, description="of the steps, linear from 0")
    label_smoothing: float = Field(0.05, ge=0, lt=1, description="share of each target that all classes divide")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    accumulate: int = Field(1, ge=1, description="steps whose gradients make one update: larger batches in the same memory")
    class_weights: str = Field("none", pattern="^(none|balanced|effective)$", description="balanced: every class weighs the "
                               "same in the loss, however many rows it has; effective: as if rows were worth less, the more "
                               "their class has (class_beta)")
    class_beta: float = Field(0.999, ge=0, lt=1, description="of class_weights: effective; n rows count as "
                              "(1 - class_beta^n) / (1 - class_beta) ones; 0: none, towards 1: balanced")
    mixup: float = Field(0.0, ge=0, le=100, description="each picture is laid over another, by parts from a Beta distribution "
                         "with both parameters this; 0: none, 0.2 is usual")
    cutmix: float = Field(0.0, ge=0, le=100, description="the same by a rectangle of the other picture; 0: none, 1 is usual; "
                          "with mixup, too, one of the two by chance")
    sync_batchnorm: bool = Field(False, description="BatchNorm over the rows of all ranks (GPUs only)")
    retries: int = Field(2, ge=0, description="times that training starts again from its checkpoint after a rank was lost")
    min_ranks: int | None = Field(None, ge=1, description="when a rank was lost, Spark may go on with fewer ranks, this many at "
                                  "least, instead of waiting for a new node; null: never fewer")
    log_dir: str | None = Field(None, description="folder for metrics.jsonl and TensorBoard events while training goes on")
    freeze_backbone: bool = Field(False, description="train the last layer alone")
    unfreeze_share: float = Field(0.0, ge=0, le=1, description="of the epochs, over which layers begin to train one after the "
                                  "other, from the last to the first; 0: all from the beginning")
    seed: int = Field(1, description="of the order of rows and of augmentation")
    checkpoint_steps: int = Field(100, ge=1, description="steps between checkpoints")
    threads: int | None = Field(None, ge=1, description="of torch, per rank; default: cores / ranks")
    cache_mib: int = Field(1024, ge=0, le=1 << 20, description="most memory of a rank for decoded pictures, which later epochs "
                           "do not decode again; 0: none")
    augment: str = Field("light", description="none, crop (anywhere, mirrored), light (small "
                         "turns, shifts, light), photo (flips and zoom, too), rand (RandAugment) or trivial (TrivialAugment)")
    device: str = Field("auto", pattern="^(auto|cpu|cuda)$", description="auto (a GPU where torch can use one), cpu, or cuda: an "
                        "error where no GPU can be used")
    precision: str = Field("float32", description="float32 or bfloat16 (autocast)")
    channels_last: bool = Field(False, description="memory format of the network; pays on GPUs and large images")
    compile: bool = Field(False, description="torch.compile; pays after minutes of training")
    ema: float | None = Field(None, gt=0, lt=1, description="decay of averaged weights, which are then the result")
    patience: int | None = Field(None, ge=1, description="epochs without a better validation loss until training stops")
    calibrate: str = Field("temperature", pattern="^(none|temperature|vector)$", description="how probabilities are corrected "
                           "on the validation rows once the weights are final: none, temperature (changes no answer) or vector "
                           "(a factor and an offset for each class: may change answers; docs/calibration.md)")

    @model_validator(mode="after")
    def _freezes_in_one_way(self) -> Self:
        if self.freeze_backbone and self.unfreeze_share:
            raise ValueError("unfreeze_share: expected 0 beside freeze_backbone, under which no layer but the last ever trains; "
                             f"got {self.unfreeze_share}. Leave one of the two out.")
        return self
