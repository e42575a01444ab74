"""What encrypts, and who may use it: the key's statements, EMR's security configuration, names of roles under a path."""
