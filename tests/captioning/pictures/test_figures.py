"""Figures are drawn without a display."""

import subprocess
import sys
from pathlib import Path


def test_drawing_touches_no_pyplot(tmp_path):
    program = (
        "import sys, numpy as np\n"
        "from captioning.pictures.curves import loss_curve\n"
        "from captioning.pictures.sheets import caption_sheet\n"
        "caption_sheet([np.zeros((9, 9), np.uint8)], ['a'], None, sys.argv[1] + '/a.png')\n"
        "loss_curve([{'iteration': 1, 'loss': 2.0}], sys.argv[1] + '/b.png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=Path(__file__).parents[3])
