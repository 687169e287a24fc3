"""TSCLIP (arXiv 2409.15077) reproduced: strategies, protocols, the benchmark and its figures."""
