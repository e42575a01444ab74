"""The CloudFormation template of an installation, generated from typed code."""
