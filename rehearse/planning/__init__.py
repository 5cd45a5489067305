"""Inputs and environment to a Plan: a value that can be printed, compared and tested. Pure."""
