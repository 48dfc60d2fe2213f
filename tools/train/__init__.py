"""Programs that train an artefact and write it as a file that the library loads.

Run them from the repository's root, in the environment that `make test-train` sets up, as
``python -m tools.train.NAME``; `palm`, `popi` and `profile_to_peft` are programs of their own
with several steps. They share, from the bottom to the top:

    base.py       the GGUF file as a torch model, with the library's own tokens
    lora.py       an adapter on it
    scoring.py    log-likelihoods of answers, in batches, with gradients
    sampling.py   answers, in batches
    losses.py     DPO, weighted DPO, MODPO
    loop.py       optimization: seeds, checkpoints, resuming, devices
    graphs.py     ONNX graphs: rounded weights, no names of this machine
    export.py     an adapter as GGUF, with its manifest
    check.py      torch against llama.cpp, logit by logit
    prompts.py    public and made prompts, in four parts that share nothing
    rewrites.py   answers rewritten by rule
    styles.py     the styles that made-up people like
    weights.py    grids on the simplex, the lazy search
    data.py       candidate answers, and people with known weights
    people.py     people with known styles, who choose among answers
    measure.py    what a model says on prompts it never saw
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
