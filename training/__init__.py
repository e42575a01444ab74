"""From a dataset to a candidate version: reading, the fine-tuning loop, its launch, assessment, publication."""
