"""Settings by which a version that was converted is compared with the one that it was made of."""

from pydantic import Field

from contract.policy import Limited


class ConvertSettings(Limited):
    """`trueup model convert`: another runtime or number format of the same weights."""

    margin: float = Field(0.005, ge=0, lt=1, description="a converted version may be less accurate than its parent by so much at "
                          "the most, by the interval of the paired difference on the same held-out rows")
    pictures: int = Field(300, ge=1, le=10_000, description="training pictures on which the ranges of int8 are measured")
