"""SCIENCE: rules, symbolic descriptors, and models that say how sure they are."""
