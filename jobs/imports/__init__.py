"""Rows and manifests that other systems wrote."""
