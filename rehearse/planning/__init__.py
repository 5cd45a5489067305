"""Inputs and environment to a Plan: a value that can be printed, compared and tested. Pure.

Imports nothing itself: `engine.masking` uses `planning.secrets` where there are no site-packages.
"""
