"""Why people are asked about the pictures of a sample, in words for those who are asked.

What is said is of the whole sample and of no picture, so that it tells a labeler neither the model's answer and how sure it
was, nor which picture is a gold item. A planned audit names its gate and never the class or the slice: whoever knows that the
class cat is in doubt sees more cats.
"""

from contract.review.listed import DIVERSE, PICKED, POPULATION, SUSPECTS
from contract.samples import BELOW_THRESHOLDS, Sample

OF_REVIEW = {
    "random-audit": "drawn at random: every answer had the same chance",
    "uncertain-first": "a review of what the model was least sure of",
    "by-class": "a review of as many answers of each class",
    "by-confidence": "a review of as many answers of each confidence",
    BELOW_THRESHOLDS: "a review of what the thresholds do not accept unseen",
    PICKED: "somebody picked these on the page of pictures",
    DIVERSE: "a review of what training would learn most from",
    SUSPECTS: "a review of labels that are likely wrong",
}
LISTED_BLIND = "listed for another look: the answers are part of no audit's figures"


def explain_asking(sample: Sample) -> str:
    """Says why the pictures of a sample are asked about: "random audit: every answer had the same chance"."""
    if sample.kind == "review":
        return OF_REVIEW.get(sample.strategy, f"a review by the strategy {sample.strategy}")
    if sample.population == POPULATION[True]:
        return LISTED_BLIND
    if sample.toward is None:
        return "random audit: every answer had the same chance"
    return (f"planned audit toward the gate “{sample.toward.gate.replace('_', ' ')}”: every answer could be drawn, some more "
            f"likely than others, each with a known chance")
