"""Random writers and random faults, while pages watch: at quiet every page equals what SELECT says."""
