"""The arrays that pass between the stages of reading."""

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""A colour picture: height × width × channel, BGR, uint8."""
Floats = NDArray[np.float32]
"""Output of a network, mostly probabilities; each use gives its shape."""
Points = NDArray[np.float64]
"""Points: n × 2, x to the right, y down."""
