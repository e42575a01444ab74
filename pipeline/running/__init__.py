"""The stages of a cycle and who carries them out: this machine, or EMR."""
