"""What programs do and cost: summaries, operations, compiled programs, throughput, traces."""
