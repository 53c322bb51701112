"""The figures that this project promises, measured: `python -m bench --help`."""
