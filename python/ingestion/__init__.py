"""One source object into one raw table: extract (sources/), load (load.py), told by the catalogue (catalogue.py)."""
