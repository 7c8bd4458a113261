"""PIPELINE: properties of candidates, one builder a module; each is found here."""
