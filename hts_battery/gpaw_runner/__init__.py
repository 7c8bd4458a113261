"""A program of its own: run by GPAW's interpreter, imported by nothing."""
