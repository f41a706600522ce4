"""The compression pipeline: recipes, stages, exact lowering, measurement and the record of runs."""
