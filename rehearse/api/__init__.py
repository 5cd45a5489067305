"""The Orchestra REST API over the store (see the layers in `tests/test_house.py`)."""
