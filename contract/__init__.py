"""What two Trueup processes must agree on: records, layout, storage, documents, counts. Light to import."""
