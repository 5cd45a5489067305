"""What `rehearse doctor` looks at: one function a check, listed in `registry`."""
