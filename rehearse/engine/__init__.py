"""Decides what happens next (`decisions`, pure) and makes it happen (`runner`, `supervisor`, `webhook`)."""
