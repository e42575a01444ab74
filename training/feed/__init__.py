"""From a Petastorm dataset to batches: what an epoch reads, who decodes it, in whose memory."""
