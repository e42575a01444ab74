"""What can be done with one version: a name, a share of the traffic, thresholds, another form. Verbs of `trueup model`."""
