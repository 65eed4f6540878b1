"""Stock in files: CSV in and out."""
