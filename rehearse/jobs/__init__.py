"""One module per job family: parameters to the processes that do the job. Looked up by job name, imported when first used."""
