"""Result files, one module a form; each takes `records.Predictions` and knows nothing of where the frames come from."""
