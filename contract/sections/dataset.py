"""`dataset:`, how a training set is made from labelled predictions."""

from typing import Literal

from pydantic import Field

from contract.policy import Limited


class DatasetFields(Limited):
    """How a training set is made from labelled predictions."""

    validation_share: float = Field(0.1, gt=0, lt=0.5, description="of the images, by hash")
    holdout_share: float = Field(0.2, gt=0, lt=0.5, description="of the images, by hash; never trained on")
    near_bits: int = Field(2, ge=0, le=16, description="perceptual hashes within so many bits are the same picture")
    min_agreement: float = Field(0.5, ge=0, le=1, description="least share of the deciding votes for the consensus")
    new_class_images: int = Field(20, ge=1, description="images that a new class needs to enter")
    new_class_labelers: int = Field(2, ge=1, description="labelers that a new class needs to enter")
    class_cap: int | None = Field(None, ge=1, description="most training rows of one class")
    class_floor: int | None = Field(None, ge=1, description="fewest training rows of one class; an error below")
    replay: bool = Field(True, description="also train on the rows of the live version's dataset")
    replay_share: float = Field(1.0, gt=0, le=1, description="share of that dataset's training rows that are trained on again, "
                                "by hash; its other rows all stay")
    suspects: Literal["keep", "drop", "review"] = Field(
        "keep", description="rows whose label `trueup labels suspects` found likely wrong and nobody confirmed since; drop: not "
        "in train and validation (docs/suspects.md); review: kept, and people are asked")
    max_side: int | None = Field(None, ge=8, description="shrink training copies to this longer side, in pixels")
    rows_per_group: int = Field(128, ge=1, description="rows of a Parquet row group")
    files: int = Field(8, ge=1, description="training files, at least as many as ranks")
