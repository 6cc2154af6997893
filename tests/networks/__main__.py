"""``python -m tests.networks``: losses and gradients by PyTorch in float64 into expected.json, for the tests."""

from __future__ import annotations

import json

import numpy as np
import torch

from tests.networks.backends import PyTorch
from tests.networks.expected import PATH, figures
from tests.networks.nets import NETWORKS, run, weights_of

metadata = {"command": "python -m tests.networks", "torch": torch.__version__, "dtype": "float64"}
networks = {}
for name in NETWORKS:
    loss, gradients = run(name, PyTorch, np.float64, weights_of(name, PyTorch, np.float64))
    networks[name] = {"loss": loss, "gradients": {key: figures(g) for key, g in gradients.items()}}
    print(f"{name}: loss {loss:.6f}, {len(gradients)} gradients")
PATH.write_text(json.dumps({"metadata": metadata, "networks": networks}, indent=1) + "\n")
