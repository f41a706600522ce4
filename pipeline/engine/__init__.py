"""Where torch lives: training, sparsity, fake quantisation, lowering; no knowledge of runs."""
