"""What encrypts, and who may use it: the key's statements, the policy of the key itself, EMR's security configuration."""
