"""One-class traffic-sign detector: data, training, evaluation and export."""
