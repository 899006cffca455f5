"""Updates that a user wrote in matrix notation, as kernels: what a trace holds, its text, and the step it becomes."""
