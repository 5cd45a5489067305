"""What happened: runs and task runs, in SQLite under `.rehearse/`."""
