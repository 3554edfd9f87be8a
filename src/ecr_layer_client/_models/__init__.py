"""Values that users hold: repositories, outcomes, results, options and errors. No I/O."""
