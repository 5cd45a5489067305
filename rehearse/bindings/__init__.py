"""What each environment and connection of a pipeline means on this machine: `rehearse.toml`."""
