"""The rules that a model of types alone cannot express, one module per subject; `review` is what they all look at."""
