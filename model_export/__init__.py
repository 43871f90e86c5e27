"""From a checkpoint to a served artefact: `python -m model_export SOURCE --recipe RECIPE -o DIR`."""
