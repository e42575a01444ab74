"""What a store can do, on a disk and on S3."""
