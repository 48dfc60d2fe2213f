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
    policy.py     a policy for one weighting
    measure.py    what it says on prompts it never saw
    palm.py       a pool of policies: train, measure, prune
    portfolio.py  the portfolio: chosen, judged, written
"""

import os

from pocketpref.backends.scheduling import unsaid_waiting

# OpenMP reads this when it is loaded, by whichever of scipy, torch and llama.cpp comes first. With
# threads that spin for long, drawing answers beside other programs took ten times as long.
os.environ.update(unsaid_waiting())

# Nothing here uses a network or reports to anybody; read when huggingface_hub and tqdm are loaded.
for _name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TQDM_DISABLE"):
    os.environ[_name] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # nor start threads that nobody uses
