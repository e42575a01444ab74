"""Verification: raw files are counted again by another engine, and the evaluation is built again from that (trueup verify)."""
