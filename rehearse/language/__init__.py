"""Pipeline text to a checked model, and its expressions. Pure: no network, no clock, no process."""
