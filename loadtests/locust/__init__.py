"""Locust: a mixed scenario over the quick start, on this machine or against a remote one."""
