"""Raw files are counted again by another engine, and an evaluation is built again from that (trueup verify)."""
