"""The rows of a dataset, defined once: what training reads (ROW) and the index that describes each row (INDEX).

ROW is a Petastorm row: `image` holds the stored bytes as they are, in a field that plain `make_reader` decodes. INDEX is
one Parquet file per dataset without the pictures: replay, lineage and the leakage check read it, so the holdout's own
files stay closed until the assessment.
"""

from typing import Any

from contract.records import Field, TableSchema

SPLITS = ("train", "validation", "holdout")

_ROW = (
    Field("image_sha256", "string", "content hash of the stored bytes; one row per hash", required=True),
    Field("image", "binary", "encoded image: the stored bytes (in train perhaps a shrunk copy)", required=True),
    Field("label", "string", "the consensus", required=True),
    Field("label_index", "int32", "place of the label in the manifest's classes", required=True),
    Field("origin", "string", "origin class of the deciding votes", required=True),
    Field("votes", "int32", "deciding votes", required=True),
    Field("agreeing", "int32", "of them, those that name the label", required=True),
    Field("selection_probability", "double", "of the earliest deciding vote; null: unknown"),
    Field("prediction_id", "string", "of the prediction whose votes decided; null: imported"),
    Field("day", "string", "UTC day of that prediction, or of the import", required=True),
    Field("image_uri", "string", "where the stored image lies, relative to the root", required=True),
    Field("width", "int32", "pixels as stored, upright", required=True),
    Field("height", "int32", "pixels as stored, upright", required=True),
)
ROW = TableSchema("dataset rows", _ROW)
INDEX = TableSchema("dataset index", (
    *(f for f in _ROW if f.name != "image"),
    Field("split", "string", "train, validation or holdout", required=True),
    Field("file", "int32", "number of the file in its split", required=True),
    Field("bytes", "int64", "of the stored image", required=True),
    Field("near", "int64", "64 bits of perceptual hash (pHash), as a signed number", required=True),
    Field("came_with", "string", "dataset that the row was replayed from; null: new in this one"),
    Field("decoded_by", "string", "the user's decoder that made pixels of it, as in the predictions; null: none, or not known"),
    Field("labelers", "list<string>", "who named the label, sorted, empty for nobody named; null: not known, as of an import"),
))


def unischema() -> Any:
    """ROW as a Petastorm Unischema. `image` decodes to uint8 [H, W, 3] (or [H, W] for grey files) by OpenCV.

    The codec's name says "png", but decoding looks at the bytes, so JPEG and WebP are read as well.
    """
    import numpy as np
    from petastorm.codecs import CompressedImageCodec, ScalarCodec
    from petastorm.unischema import Unischema, UnischemaField
    from pyspark.sql import types as t

    scalar = {"string": (np.str_, t.StringType()), "int32": (np.int32, t.IntegerType()),
              "double": (np.float64, t.DoubleType())}

    def field(f: Field) -> Any:
        if f.type == "binary":
            return UnischemaField(f.name, np.uint8, (None, None, 3), CompressedImageCodec("png"), False)
        dtype, spark_type = scalar[f.type]
        return UnischemaField(f.name, dtype, (), ScalarCodec(spark_type), not f.required)

    return Unischema("TrueupRow", [field(f) for f in ROW.fields])
