"""SCIENCE: capacity, stability window, interfaces and voltages."""
