-- Made by `python -m metrics.sql`. Put your root for s3://BUCKET/PREFIX, and your models for MODELS.
-- The same without Athena: DuckDB reads the files as they lie,
--   SELECT version, label, recall, recall_low, recall_high, support
--   FROM read_parquet('demo-root/tables/per_class/*/*/*.parquet', hive_partitioning = true) ORDER BY recall;
-- Texts are as people wrote them; times are UTC.

CREATE EXTERNAL TABLE trueup_predictions (
  `prediction_id` string COMMENT 'UUIDv7; a caller may bring its own',
  `predicted_at` timestamp COMMENT 'the event time',
  `recorded_at` timestamp COMMENT 'when the row became durable',
  `model` string COMMENT 'the model''s name',
  `model_version` string COMMENT 'version ''1'', ''2'', …',
  `predicted_label` string COMMENT 'the first of the top k',
  `confidence` double COMMENT 'its probability, 0 to 1',
  `role` string COMMENT 'live, shadow, canary, batch, replay, in any case; null = live',
  `top_labels` array<string> COMMENT 'best first; at least 5, or all classes',
  `top_probabilities` array<float> COMMENT 'of top_labels',
  `image_sha256` string COMMENT 'content hash of the stripped bytes',
  `image_uri` string COMMENT 'where the stored image lies, relative to the root; null when not stored',
  `width` int COMMENT 'pixels, of the image as it came',
  `height` int COMMENT 'pixels, of the image as it came',
  `bytes` bigint COMMENT 'of the image as it came',
  `weights_sha256` string COMMENT 'the weights that answered',
  `preprocess_hash` string COMMENT 'the preprocessing that answered',
  `latency_ms` float COMMENT 'from the request''s last byte to the answer',
  `client` string COMMENT 'id of the key, never an address',
  `request_id` string COMMENT 'the caller''s',
  `source_uri` string COMMENT 'where the caller says the picture came from',
  `decision` string COMMENT 'accept or review, where thresholds were in force; null: nobody decided',
  `attributes` map<string,string> COMMENT 'what the caller said about the picture, for slices',
  `redacted_by` string COMMENT 'the hook that redacted the picture, and 12 digits of its source''s sha256; with +grey16 it kept 16 bits of grey where there were any; null: none',
  `decoded_by` string COMMENT 'the user''s decoder that made pixels of it, and 12 digits of its source''s sha256; null: none'
)
PARTITIONED BY (`dt` string)
STORED AS PARQUET
LOCATION 's3://BUCKET/PREFIX/predictions/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'projection.dt.range' = '2020-01-01,NOW+1DAYS',
  'storage.location.template' = 's3://BUCKET/PREFIX/predictions/dt=${dt}'
);

CREATE EXTERNAL TABLE trueup_labels (
  `label_id` string COMMENT 'UUIDv7',
  `prediction_id` string COMMENT 'of the prediction it judges',
  `label` string COMMENT 'the class that the labeler named; `≠`: not the answer shown, class not named',
  `labeler` string COMMENT 'who',
  `labeled_at` timestamp COMMENT 'the event time',
  `recorded_at` timestamp COMMENT 'when the row became durable',
  `origin` string COMMENT 'feedback, review, audit, import',
  `saw_prediction` boolean COMMENT 'whether the labeler had seen the model''s answer',
  `shown_label` string COMMENT 'the answer that was judged, where the label is `≠`; null: the live row''s',
  `withdraws` boolean COMMENT 'this person takes back what they said of this prediction; null = false',
  `selection_probability` double COMMENT 'of the sample that asked for it; null when nobody asked',
  `strategy` string COMMENT 'of the sample that asked for it',
  `actor` string COMMENT 'id of the key that wrote it'
)
PARTITIONED BY (`dt` string)
STORED AS PARQUET
LOCATION 's3://BUCKET/PREFIX/labels/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'projection.dt.range' = '2020-01-01,NOW+1DAYS',
  'storage.location.template' = 's3://BUCKET/PREFIX/labels/dt=${dt}'
);

CREATE EXTERNAL TABLE trueup_evaluation_class_trend (
  `version` string,
  `label` string,
  `day` string,
  `right` bigint,
  `labels` bigint
)
PARTITIONED BY (`model` string, `evaluation` string)
STORED AS PARQUET
LOCATION 's3://BUCKET/PREFIX/tables/class_trend/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.model.type' = 'enum',
  'projection.model.values' = 'MODELS',
  'projection.evaluation.type' = 'injected',
  'storage.location.template' = 's3://BUCKET/PREFIX/tables/class_trend/model=${model}/evaluation=${evaluation}'
);

CREATE EXTERNAL TABLE trueup_evaluation_confidence_buckets (
  `version` string,
  `predicted` string,
  `low` double,
  `high` double,
  `count` bigint,
  `wrong` bigint
)
PARTITIONED BY (`model` string, `evaluation` string)
STORED AS PARQUET
LOCATION 's3://BUCKET/PREFIX/tables/confidence_buckets/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.model.type' = 'enum',
  'projection.model.values' = 'MODELS',
  'projection.evaluation.type' = 'injected',
  'storage.location.template' = 's3://BUCKET/PREFIX/tables/confidence_buckets/model=${model}/evaluation=${evaluation}'
);

CREATE EXTERNAL TABLE trueup_evaluation_confidence_thresholds (
  `version` string,
  `predicted` string,
  `threshold` double,
  `supported_from` double,
  `support` bigint
)
PARTITIONED BY (`model` string, `evaluation` string)
STORED AS PARQUET
LOCATION 's3://BUCKET/PREFIX/tables/confidence_thresholds/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.model.type' = 'enum',
  'projection.model.values' = 'MODELS',
  'projection.evaluation.type' = 'injected',
  'storage.location.template' = 's3://BUCKET/PREFIX/tables/confidence_thresholds/model=${model}/evaluation=${evaluation}'
);

CREATE EXTERNAL TABLE trueup_evaluation_confusion (
  `version` string,
  `label` string,
  `predicted` string,
  `count` bigint
)
PARTITIONED BY (`model` string, `evaluation` string)
STORED AS PARQUET
LOCATION 's3://BUCKET/PREFIX/tables/confusion/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.model.type' = 'enum',
  'projection.model.values' = 'MODELS',
  'projection.evaluation.type' = 'injected',
  'storage.location.template' = 's3://BUCKET/PREFIX/tables/confusion/model=${model}/evaluation=${evaluation}'
);

CREATE EXTERNAL TABLE trueup_evaluation_delays (
  `days` bigint,
  `origin` string,
  `n` bigint
)
PARTITIONED BY (`model` string, `evaluation` string)
STORED AS PARQUET
LOCATION 's3://BUCKET/PREFIX/tables/delays/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.model.type' = 'enum',
  'projection.model.values' = 'MODELS',
  'projection.evaluation.type' = 'injected',
  'storage.location.template' = 's3://BUCKET/PREFIX/tables/delays/model=${model}/evaluation=${evaluation}'
);

CREATE EXTERNAL TABLE trueup_evaluation_labelers (
  `labeler` string,
  `votes` bigint,
  `agreements` bigint,
  `pairs` bigint,
  `agreeing_pairs` bigint,
  `agreement` double,
  `agreement_low` double,
  `agreement_high` double
)
PARTITIONED BY (`model` string, `evaluation` string)
STORED AS PARQUET
LOCATION 's3://BUCKET/PREFIX/tables/labelers/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.model.type' = 'enum',
  'projection.model.values' = 'MODELS',
  'projection.evaluation.type' = 'injected',
  'storage.location.template' = 's3://BUCKET/PREFIX/tables/labelers/model=${model}/evaluation=${evaluation}'
);

CREATE EXTERNAL TABLE trueup_evaluation_per_class (
  `version` string,
  `label` string,
  `support` bigint,
  `predicted` bigint,
  `right` bigint,
  `split` bigint,
  `predictions` bigint,
  `coverage` double,
  `coverage_low` double,
  `coverage_high` double,
  `precision` double,
  `precision_low` double,
  `precision_high` double,
  `recall` double,
  `recall_low` double,
  `recall_high` double,
  `f1` double,
  `f1_low` double,
  `f1_high` double
)
PARTITIONED BY (`model` string, `evaluation` string)
STORED AS PARQUET
LOCATION 's3://BUCKET/PREFIX/tables/per_class/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.model.type' = 'enum',
  'projection.model.values' = 'MODELS',
  'projection.evaluation.type' = 'injected',
  'storage.location.template' = 's3://BUCKET/PREFIX/tables/per_class/model=${model}/evaluation=${evaluation}'
);

CREATE EXTERNAL TABLE trueup_evaluation_reliability (
  `version` string,
  `low` double,
  `high` double,
  `count` bigint,
  `accuracy` double,
  `accuracy_low` double,
  `accuracy_high` double,
  `confidence_mean` double
)
PARTITIONED BY (`model` string, `evaluation` string)
STORED AS PARQUET
LOCATION 's3://BUCKET/PREFIX/tables/reliability/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.model.type' = 'enum',
  'projection.model.values' = 'MODELS',
  'projection.evaluation.type' = 'injected',
  'storage.location.template' = 's3://BUCKET/PREFIX/tables/reliability/model=${model}/evaluation=${evaluation}'
);

CREATE EXTERNAL TABLE trueup_evaluation_slices (
  `slice` string,
  `value` string,
  `version` string,
  `predictions` bigint,
  `labelled` bigint,
  `accuracy` double,
  `accuracy_low` double,
  `accuracy_high` double
)
PARTITIONED BY (`model` string, `evaluation` string)
STORED AS PARQUET
LOCATION 's3://BUCKET/PREFIX/tables/slices/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.model.type' = 'enum',
  'projection.model.values' = 'MODELS',
  'projection.evaluation.type' = 'injected',
  'storage.location.template' = 's3://BUCKET/PREFIX/tables/slices/model=${model}/evaluation=${evaluation}'
);

CREATE EXTERNAL TABLE trueup_evaluation_top_k (
  `version` string,
  `k` bigint,
  `right` bigint,
  `count` bigint,
  `value` double,
  `low` double,
  `high` double,
  `reason` string
)
PARTITIONED BY (`model` string, `evaluation` string)
STORED AS PARQUET
LOCATION 's3://BUCKET/PREFIX/tables/top_k/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.model.type' = 'enum',
  'projection.model.values' = 'MODELS',
  'projection.evaluation.type' = 'injected',
  'storage.location.template' = 's3://BUCKET/PREFIX/tables/top_k/model=${model}/evaluation=${evaluation}'
);

CREATE EXTERNAL TABLE trueup_evaluation_trend (
  `day` string,
  `version` string,
  `predictions` bigint,
  `labelled` bigint,
  `accuracy` double,
  `accuracy_low` double,
  `accuracy_high` double,
  `estimate` double,
  `estimate_low` double,
  `estimate_high` double,
  `estimate_origin` string,
  `labels_expected_so_far` double,
  `provisional` boolean,
  `reason` string
)
PARTITIONED BY (`model` string, `evaluation` string)
STORED AS PARQUET
LOCATION 's3://BUCKET/PREFIX/tables/trend/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.model.type' = 'enum',
  'projection.model.values' = 'MODELS',
  'projection.evaluation.type' = 'injected',
  'storage.location.template' = 's3://BUCKET/PREFIX/tables/trend/model=${model}/evaluation=${evaluation}'
);

CREATE EXTERNAL TABLE trueup_evaluation_versions (
  `version` string,
  `predictions` bigint,
  `labelled` bigint,
  `split` bigint,
  `coverage` double,
  `coverage_low` double,
  `coverage_high` double,
  `accuracy` double,
  `accuracy_low` double,
  `accuracy_high` double,
  `estimate` double,
  `estimate_low` double,
  `estimate_high` double,
  `estimate_origin` string,
  `class_list` string,
  `confusion_omitted` bigint
)
PARTITIONED BY (`model` string, `evaluation` string)
STORED AS PARQUET
LOCATION 's3://BUCKET/PREFIX/tables/versions/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.model.type' = 'enum',
  'projection.model.values' = 'MODELS',
  'projection.evaluation.type' = 'injected',
  'storage.location.template' = 's3://BUCKET/PREFIX/tables/versions/model=${model}/evaluation=${evaluation}'
);
