"""Pulls recorded on the stand from real engines: Docker Engine 20.10.24, and Podman 5.8.6."""

from __future__ import annotations

import re
from typing import Any


def items(recorded: str) -> list[tuple[float, dict[str, Any]]]:
    """Return the items of a recorded pull, each with its time in seconds.

    A line has: seconds, id or ``-``, status, and, if reported, current and total bytes.
    """
    found = re.findall(r"^(\S+) (\S+) (.+?)(?: (\d+)/(\d*))?$", recorded, re.MULTILINE)
    return [(float(seconds), _item(*rest)) for seconds, *rest in found]


def _item(layer: str, status: str, current: str, total: str) -> dict[str, Any]:
    if layer == "-":
        return {"status": status}
    counts = {"current": current, "total": total}
    return {"status": status, "progressDetail": {name: int(n) for name, n in counts.items() if n}, "id": layer}


COLD = """
0.05 1 Pulling from rec
0.05 e91a234bd41c Pulling fs layer
0.05 7a4ff933e8af Pulling fs layer
0.05 057fc6bd8e1d Pulling fs layer
0.05 a4c78bd86a8e Pulling fs layer
0.05 426f749d29ed Pulling fs layer
0.05 9d3d88c4fc20 Pulling fs layer
0.05 a4c78bd86a8e Waiting
0.05 426f749d29ed Waiting
0.05 9d3d88c4fc20 Waiting
0.1 e91a234bd41c Downloading 95/95
0.1 e91a234bd41c Verifying Checksum
0.1 e91a234bd41c Download complete
0.1 e91a234bd41c Extracting 95/95
0.1 e91a234bd41c Extracting 95/95
0.11 057fc6bd8e1d Downloading 16384/900487
0.11 7a4ff933e8af Downloading 16384/1027912
0.13 a4c78bd86a8e Downloading 16384/600359
0.17 e91a234bd41c Pull complete
0.21 057fc6bd8e1d Downloading 180224/900487
0.21 7a4ff933e8af Downloading 180224/1027912
0.24 a4c78bd86a8e Downloading 147456/600359
0.31 7a4ff933e8af Downloading 311296/1027912
0.31 057fc6bd8e1d Downloading 311296/900487
0.35 a4c78bd86a8e Downloading 344064/600359
0.42 7a4ff933e8af Downloading 475136/1027912
0.42 057fc6bd8e1d Downloading 475136/900487
0.46 a4c78bd86a8e Downloading 507904/600359
0.52 a4c78bd86a8e Downloading 600359/600359
0.52 a4c78bd86a8e Verifying Checksum
0.52 a4c78bd86a8e Download complete
0.52 057fc6bd8e1d Downloading 638976/900487
0.52 7a4ff933e8af Downloading 638976/1027912
0.55 426f749d29ed Downloading 16384/300283
0.63 7a4ff933e8af Downloading 802816/1027912
0.63 057fc6bd8e1d Downloading 802816/900487
0.65 426f749d29ed Downloading 147456/300283
0.69 057fc6bd8e1d Downloading 900487/900487
0.69 057fc6bd8e1d Verifying Checksum
0.69 057fc6bd8e1d Download complete
0.73 9d3d88c4fc20 Downloading 16384/200247
0.73 7a4ff933e8af Downloading 966656/1027912
0.73 426f749d29ed Downloading 300283/300283
0.73 426f749d29ed Verifying Checksum
0.73 426f749d29ed Download complete
0.77 7a4ff933e8af Downloading 1027912/1027912
0.77 7a4ff933e8af Download complete
0.77 7a4ff933e8af Extracting 32768/1027912
0.84 9d3d88c4fc20 Downloading 147456/200247
0.87 7a4ff933e8af Extracting 393216/1027912
0.89 9d3d88c4fc20 Downloading 200247/200247
0.89 9d3d88c4fc20 Verifying Checksum
0.89 9d3d88c4fc20 Download complete
0.89 7a4ff933e8af Extracting 1027912/1027912
0.89 7a4ff933e8af Extracting 1027912/1027912
0.9 7a4ff933e8af Pull complete
0.91 057fc6bd8e1d Extracting 32768/900487
0.95 057fc6bd8e1d Extracting 900487/900487
0.95 057fc6bd8e1d Extracting 900487/900487
0.96 057fc6bd8e1d Pull complete
0.96 a4c78bd86a8e Extracting 32768/600359
1.01 a4c78bd86a8e Extracting 600359/600359
1.02 a4c78bd86a8e Pull complete
1.03 426f749d29ed Extracting 32768/300283
1.1 426f749d29ed Extracting 300283/300283
1.1 426f749d29ed Extracting 300283/300283
1.11 426f749d29ed Pull complete
1.11 9d3d88c4fc20 Extracting 32768/200247
1.23 9d3d88c4fc20 Extracting 163840/200247
1.23 9d3d88c4fc20 Extracting 200247/200247
1.24 9d3d88c4fc20 Pull complete
1.24 - Digest: sha256:896d863611f5595e613a57bb23908d0c4087cb7989a3634f040e07d49c4751de
1.25 - Status: Downloaded newer image for 123456789012.dkr.ecr.eu-west-1.amazonaws.com/rec:1
"""
"""Six layers, of which the engine fetches three at a time."""

AGAIN = """
0.02 1 Pulling from rec
0.03 - Digest: sha256:526a5980cf0488256b288e7303826ddbac42d10fc3a8e3a2129468b373425376
0.03 - Status: Image is up to date for 123456789012.dkr.ecr.eu-west-1.amazonaws.com/rec:1
"""
"""Nothing new."""

UNKNOWN = """
0.03 2 Pulling from rec
0.03 e91a234bd41c Already exists
0.03 7a4ff933e8af Already exists
0.05 057fc6bd8e1d Already exists
0.06 a4c78bd86a8e Already exists
0.06 426f749d29ed Already exists
0.06 9d3d88c4fc20 Already exists
0.06 38c62e7c40ea Pulling fs layer
0.45 38c62e7c40ea Downloading 540672/
0.55 38c62e7c40ea Verifying Checksum
0.55 38c62e7c40ea Download complete
0.61 38c62e7c40ea Extracting 557056/
0.61 38c62e7c40ea Extracting 700407/
0.63 38c62e7c40ea Pull complete
0.65 - Digest: sha256:4e552301a91759fee60a1dca250f7cc922c66c992cf857169969fb146c088c46
0.65 - Status: Downloaded newer image for 123456789012.dkr.ecr.eu-west-1.amazonaws.com/rec:2
"""
"""Six layers that the engine has, and one from a server that does not report its size."""

RESUMED = """
0.04 3 Pulling from rec
0.04 e91a234bd41c Already exists
0.04 7a4ff933e8af Already exists
0.05 057fc6bd8e1d Already exists
0.06 a4c78bd86a8e Already exists
0.07 426f749d29ed Already exists
0.08 9d3d88c4fc20 Already exists
0.09 38c62e7c40ea Already exists
0.1 de2245469872 Pulling fs layer
0.17 de2245469872 Downloading 16384/800440
0.26 de2245469872 Downloading 81920/800440
0.36 de2245469872 Downloading 147456/800440
0.47 de2245469872 Downloading 212992/800440
0.57 de2245469872 Downloading 278528/800440
0.67 de2245469872 Downloading 344064/800440
0.77 de2245469872 Downloading 409600/800440
0.87 de2245469872 Downloading 475136/800440
0.97 de2245469872 Downloading 800440/800440
0.97 de2245469872 Retrying in 5 seconds
1.98 de2245469872 Retrying in 4 seconds
2.98 de2245469872 Retrying in 3 seconds
3.98 de2245469872 Retrying in 2 seconds
4.98 de2245469872 Retrying in 1 second
6.04 de2245469872 Downloading 16384/276152
6.15 de2245469872 Downloading 81920/276152
6.26 de2245469872 Downloading 147456/276152
6.36 de2245469872 Downloading 212992/276152
6.46 de2245469872 Downloading 276152/276152
6.46 de2245469872 Verifying Checksum
6.46 de2245469872 Download complete
6.46 de2245469872 Extracting 32768/800440
6.53 de2245469872 Extracting 800440/800440
6.55 de2245469872 Pull complete
6.57 - Digest: sha256:4253d063cf725adc457e65e736e4bfc0cbf34189b99057d79fe75cf2e00b1f71
6.58 - Status: Downloaded newer image for 123456789012.dkr.ecr.eu-west-1.amazonaws.com/rec:3
"""
"""A layer whose transfer breaks off after 524288 bytes, and then resumes."""

# Podman's last item has the image's id; before it, the image's configuration is fetched.
PODMAN = """
0.28 e316aa07da51 Pulling fs layer
0.32 e91a234bd41c Pulling fs layer
0.34 7a4ff933e8af Pulling fs layer
0.55 e91a234bd41c Download complete
1.3 e316aa07da51 Downloading 671744/4001394
1.36 7a4ff933e8af Downloading 671744/1027912
2.14 7a4ff933e8af Download complete
2.34 e316aa07da51 Downloading 1294336/4001394
3.37 e316aa07da51 Downloading 1916928/4001394
6.79 e316aa07da51 Download complete
7.66 0cd1e34920e9 Pulling fs layer
7.68 0cd1e34920e9 Download complete
7.74 0cd1e34920e9 Download complete
"""

PODMAN_AGAIN = """
0.12 e316aa07da51 Already exists
0.12 e91a234bd41c Already exists
0.12 7a4ff933e8af Already exists
0.12 0cd1e34920e9 Pulling fs layer
0.18 0cd1e34920e9 Download complete
0.24 0cd1e34920e9 Download complete
"""
