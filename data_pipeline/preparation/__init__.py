"""From a source to shards: plan, check, staging."""
