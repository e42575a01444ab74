"""A table of rows as data: its columns with their types and meaning, rendered as an Arrow schema and as Spark's.

The tables of raw rows, predictions and labels, are here; others stand where they are written (contract/counts.py,
contract/rows/items.py, …), and contract/dataset_record.py renders the rows of datasets for Petastorm. Engines are imported
inside the functions that render, so a reader needs only its own.
"""

from dataclasses import dataclass
from typing import Any

SCHEMA_KEY, SCHEMA = b"trueup.schema", "1"


@dataclass(frozen=True)
class Field:
    """One column: its name, its type (a key of `ARROW`), whether foreign files must have it, and what it means."""

    name: str
    type: str
    meaning: str
    required: bool = False


@dataclass(frozen=True)
class TableSchema:
    """A table's row. Fields stand in schema order, which also orders ties (docs/design.md#the-rules-of-counting)."""

    name: str
    fields: tuple[Field, ...]

    @property
    def names(self) -> list[str]:
        """Column names in schema order."""
        return [f.name for f in self.fields]

    @property
    def required(self) -> list[str]:
        """Columns that a file written by others must have."""
        return [f.name for f in self.fields if f.required]

    def field(self, name: str) -> Field:
        """The field of that name."""
        return next(f for f in self.fields if f.name == name)

    def arrow(self) -> Any:
        """The pyarrow schema, with `trueup.schema` in its metadata; every column nullable."""
        import pyarrow as pa

        return pa.schema([pa.field(f.name, arrow_type(f.type)) for f in self.fields], {SCHEMA_KEY: SCHEMA})

    def spark(self) -> Any:
        """The Spark StructType; every column nullable."""
        from pyspark.sql import types as t

        plain = {"string": t.StringType(), "double": t.DoubleType(), "float": t.FloatType(), "int32": t.IntegerType(),
                 "int64": t.LongType(), "bool": t.BooleanType(), "timestamp": t.TimestampType(),
                 "binary": t.BinaryType()}
        made = plain | {"list<string>": t.ArrayType(t.StringType()), "list<float>": t.ArrayType(t.FloatType()),
                        "map<string,string>": t.MapType(t.StringType(), t.StringType())}
        return t.StructType([t.StructField(f.name, made[f.type], True) for f in self.fields])


def arrow_type(text: str) -> Any:
    """The pyarrow type of one of our type names."""
    import pyarrow as pa

    return {"string": pa.string(), "double": pa.float64(), "float": pa.float32(), "int32": pa.int32(),
            "int64": pa.int64(), "bool": pa.bool_(), "timestamp": pa.timestamp("us", "UTC"), "binary": pa.binary(),
            "list<string>": pa.list_(pa.string()), "list<float>": pa.list_(pa.float32()),
            "map<string,string>": pa.map_(pa.string(), pa.string()), "decimal": pa.decimal128(38, 0)}[text]


PREDICTION = TableSchema("predictions", (
    Field("prediction_id", "string", "UUIDv7; a caller may bring its own", required=True),
    Field("predicted_at", "timestamp", "the event time", required=True),
    Field("recorded_at", "timestamp", "when the row became durable"),
    Field("model", "string", "the model's name", required=True),
    Field("model_version", "string", "version '1', '2', …", required=True),
    Field("predicted_label", "string", "the first of the top k", required=True),
    Field("confidence", "double", "its probability, 0 to 1", required=True),
    Field("role", "string", "live, shadow, canary, batch, replay, in any case; null = live"),
    Field("top_labels", "list<string>", "best first; at least 5, or all classes"),
    Field("top_probabilities", "list<float>", "of top_labels"),
    Field("image_sha256", "string", "content hash of the stripped bytes"),
    Field("image_uri", "string", "where the stored image lies, relative to the root; null when not stored"),
    Field("width", "int32", "pixels, of the image as it came"),
    Field("height", "int32", "pixels, of the image as it came"),
    Field("bytes", "int64", "of the image as it came"),
    Field("weights_sha256", "string", "the weights that answered"),
    Field("preprocess_hash", "string", "the preprocessing that answered"),
    Field("latency_ms", "float", "from the request's last byte to the answer"),
    Field("client", "string", "id of the key, never an address"),
    Field("request_id", "string", "the caller's"),
    Field("source_uri", "string", "where the caller says the picture came from"),
    Field("decision", "string", "accept or review, where thresholds were in force; null: nobody decided"),
    Field("attributes", "map<string,string>", "what the caller said about the picture, for slices"),
    Field("redacted_by", "string", "the hook that redacted the picture, and 12 digits of its source's sha256; with +grey16 "
          "it kept 16 bits of grey where there were any; null: none"),
    Field("decoded_by", "string", "the user's decoder that made pixels of it, and 12 digits of its source's sha256; null: none"),
))

LABEL = TableSchema("labels", (
    Field("label_id", "string", "UUIDv7"),
    Field("prediction_id", "string", "of the prediction it judges", required=True),
    Field("label", "string", "the class that the labeler named; `≠`: not the answer shown, class not named", required=True),
    Field("labeler", "string", "who", required=True),
    Field("labeled_at", "timestamp", "the event time", required=True),
    Field("recorded_at", "timestamp", "when the row became durable"),
    Field("origin", "string", "feedback, review, audit, import"),
    Field("saw_prediction", "bool", "whether the labeler had seen the model's answer"),
    Field("shown_label", "string", "the answer that was judged, where the label is `≠`; null: the live row's"),
    Field("withdraws", "bool", "this person takes back what they said of this prediction; null = false"),
    Field("selection_probability", "double", "of the sample that asked for it; null when nobody asked"),
    Field("strategy", "string", "of the sample that asked for it"),
    Field("actor", "string", "id of the key that wrote it"),
))
