"""What an account must have beside the stack: quotas, a network, a release, images, service-linked roles. Only looks."""
