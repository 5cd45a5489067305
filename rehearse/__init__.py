"""rehearse: run Orchestra pipelines on a laptop, offline.

Layers, imported from top to bottom only: cli > engine > jobs > store > bindings > planning > language.
"""

__version__ = "0.1.0"
