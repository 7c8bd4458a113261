"""SCIENCE: diffusivity, Arrhenius plots and barriers, with honest errors."""
