"""Run a process: `simulate` and the `Run` that it returns."""
