"""The card of a model version: all that is needed to serve it, and what it was made from."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from contract import jsonio
from contract.documents.document import Document

# inference.model.own_decoder.OwnDecoder.name; a function may be called what Python lets it, é too.
DECODED_BY = r"^[A-Za-z_][A-Za-z0-9_.]*:[^\s:@]+@[0-9a-f]{12}$"
ADDED: tuple[tuple[str, Any], ...] = (("levels", None), ("decoders", []))  # fields of a later release, where they change nothing
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Preprocess(Document):
    """From an image's bytes to the network's input. inference/model/preprocess.py has the code; training calls it, too.

    The shorter side is resized to `resize` pixels (None: not resized; a pair [h, w]: to exactly that), then the centre
    `crop` x `crop` is cut (None: no crop), values are scaled to 0-1 and normalised per channel.
    """

    resize: int | list[int] | None = 256
    crop: int | None = 224
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    antialias: bool = True
    grey: bool = False  # converted to grey first; the network still gets three equal channels
    mean: list[float] = Field(default=[0.485, 0.456, 0.406], min_length=3, max_length=3)
    std: list[float] = Field(default=[0.229, 0.224, 0.225], min_length=3, max_length=3)
    # Of grey pictures of 16 bits: the values that become black and white; None: 0 and 65,535, by the upper 8 bits.
    levels: list[Annotated[int, Field(ge=0, le=65_535)]] | None = Field(default=None, min_length=2, max_length=2)
    # The user's decoders that made pixels of pictures it learnt from: package.module:function@ and 12 digits of the source.
    decoders: list[Annotated[str, Field(pattern=DECODED_BY)]] = []

    @model_validator(mode="after")
    def _levels_rise(self) -> Self:
        if self.levels is not None and self.levels[0] >= self.levels[1]:
            raise ValueError(f"levels: expected the value of black and a larger one of white, got {self.levels}")
        return self

    def facts(self) -> dict[str, Any]:
        """What the pixels depend on, as plain JSON: a field that a release added is left out where it changes nothing."""
        return {name: value for name, value in self.to_dict().items() if (name, value) not in ADDED}

    def list_steps(self) -> dict[str, Any]:
        """What is done to a picture that is there: `facts` without what made it."""
        return {name: value for name, value in self.facts().items() if name != "decoders"}

    def hash(self) -> str:
        """`preprocess_hash` of the prediction rows: 16 hex digits."""
        return jsonio.digest(self.facts())[:16]


def is_decoder(decoded_by: str | None) -> bool:
    """Tells whether a row's `decoded_by` names a decoder as Trueup writes it; logs of others may hold anything there."""
    return decoded_by is not None and re.fullmatch(DECODED_BY, decoded_by) is not None


class Converted(Document):
    """A version's network in the form of its runtime, stored beside the weights that it was made of.

    int8: its ranges were measured on so many training pictures of a dataset.
    """

    sha256: str
    bytes: int
    made_with: dict[str, str]  # library -> version
    dataset: str | None = None
    pictures: int | None = None


class Calibration(Document):
    """How a version's outputs become probabilities: softmax(logits / temperature), or softmax(logits * scale + bias).

    Fitted on pictures that neither trained the weights nor judge them (training/fit/scaling.py). `rows`: how many; `loss_before`,
    `loss_after`: their mean negative log likelihood, in nats, without and with it. A temperature changes no answer.
    """

    method: Literal["temperature", "vector"]
    temperature: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    scale: list[Finite] | None = None  # one factor a class, in the order of the card's classes
    bias: list[Finite] | None = None
    rows: int = Field(ge=1)
    fitted_on: str  # a sentence's end for a person: "validation rows of dataset …"
    loss_before: Finite
    loss_after: Finite

    @model_validator(mode="after")
    def _has_its_numbers(self) -> Self:
        has = (self.temperature is not None, self.scale is not None, self.bias is not None)
        if has != ((True, False, False) if self.method == "temperature" else (False, True, True)):
            raise ValueError(f"calibration: {self.method}: expected a temperature alone, or scale and bias alone for vector")
        return self


class Card(Document):
    """`models/<model>/versions/<version>/card.json`; the version exists when its card does."""

    schema_: Literal["1"] = Field(default="1", alias="schema")
    model: str
    version: str
    created_at: str
    network: str  # a torchvision classification network by name, or package.module:build
    classes: list[str] = Field(min_length=1)
    preprocess: Preprocess
    runtime: str = "torch"  # or torchscript, openvino (inference/model/predictor.py)
    number_format: Literal["float32", "bfloat16", "int8"] = "float32"
    converted: Converted | None = None  # where the runtime computes another form of the network
    calibration: Calibration | None = None  # None: softmax of the network's outputs as they are
    weights_sha256: str
    weights_bytes: int
    parent: str | None = None  # the version whose weights training started from, or that was converted
    dataset: str | None = None  # None: the training set is unknown (brought from outside)
    made_from: str = ""  # one sentence for a person
    settings: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    code_version: str = ""

    @model_validator(mode="after")
    def _int8_was_converted(self) -> Self:
        if self.number_format == "int8" and self.converted is None:
            raise ValueError("number_format: int8: expected the converted network, whose ranges were measured on pictures")
        return self

    @model_validator(mode="after")
    def _calibration_is_of_its_classes(self) -> Self:
        of = self.calibration
        if of is not None and any(part is not None and len(part) != len(self.classes) for part in (of.scale, of.bias)):
            raise ValueError(f"calibration: vector: expected scale and bias of {len(self.classes)} classes")
        return self
