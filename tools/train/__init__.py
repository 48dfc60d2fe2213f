"""What trains an artefact and turns it into a file that the library loads: never imported by it.

Run from the repository's root, in the environment that `make test-train` sets up, as
``python -m tools.train.NAME``. What belongs together, from the bottom to the top:

    base.py       the GGUF file as a torch model, with the library's own tokens
    lora.py       an adapter on it
    scoring.py    log-likelihoods of answers, in batches, with gradients
    sampling.py   answers, in batches
    losses.py     DPO, weighted DPO, MODPO
    loop.py       optimization: seeds, checkpoints, resuming, devices
    export.py     an adapter as GGUF, with its manifest
    check.py      torch against llama.cpp, logit by logit
    prompts.py    public and made prompts, in three parts that share nothing
    rewrites.py   answers rewritten by rule
    data.py       candidate answers, and people with known weights
    weights.py    grids on the simplex, the lazy search
    cover.py      pruning, with its guarantee
    palm.py       the portfolio: train, measure, prune, export
"""
