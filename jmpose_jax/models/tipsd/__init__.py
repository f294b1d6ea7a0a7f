"""TIPSD (Zhang et al., TNNLS 2025): a reconstruction from its supplement."""
