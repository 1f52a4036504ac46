"""ICC profiles made from code points of H.273, or from a gamma and the chromaticities of primaries."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np

Chromaticities: TypeAlias = tuple[float, ...]
"""Eight numbers: x and y of white, red, green and blue, CIE 1931."""

_D65: Final = (0.3127, 0.3290)
SRGB: Final[Chromaticities] = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)

# Source: Rec. ITU-T H.273, table 2. Other and unspecified values are taken for sRGB.
_PRIMARIES: Final[dict[int, Chromaticities]] = {
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),  # BT.470 system M
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),  # BT.601, 625 lines
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),  # BT.601, 525 lines
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),  # SMPTE 240M
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # DCI-P3
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display P3
}
_GAMMAS: Final = {4: 2.2, 5: 2.8, 8: 1.0}  # H.273, table 3
_PQ, _HLG = 16, 18
_LEVELS: Final = 4096
_WHITE_NITS: Final = 203.0
"""Luminance of white in HDR, cd/m2. Source: Rec. ITU-R BT.2408, section 2."""

_D50: Final = np.array([0.9642, 1.0, 0.8249])
_BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@lru_cache(maxsize=64)
def cicp_profile(primaries: int, transfer: int) -> bytes | None:
    """Profile of code points of H.273, as in cICP of PNG, and nclx of AVIF and HEIC.

    High dynamic range (transfers 16 and 18) is shown as on a screen whose white is 203 cd/m2: darker parts keep their
    luminance, and brighter ones become white. Camera curves such as that of BT.709 are read as that of sRGB.

    Args:
        primaries: Colour primaries.
        transfer: Transfer characteristics.

    Returns:
        Profile; None for sRGB and unspecified values.
    """
    chromaticities = _PRIMARIES.get(primaries, SRGB)
    if transfer in (_PQ, _HLG):
        curve = _table(_pq() if transfer == _PQ else _hlg())
    elif transfer in _GAMMAS:
        curve = _gamma(_GAMMAS[transfer])
    elif chromaticities == SRGB:
        return None
    else:
        curve = _srgb_curve()
    return _profile(chromaticities, curve)


@lru_cache(maxsize=64)
def measured_profile(gamma: float, chromaticities: Chromaticities | None) -> bytes | None:
    """Profile of a gamma and chromaticities, as a PNG gives them.

    Args:
        gamma: Exponent with which the photo was encoded, such as 1/2.2.
        chromaticities: Chromaticities of white, red, green and blue; None takes those of sRGB.

    Returns:
        Profile; None if it does not differ visibly from sRGB, and for impossible values.
    """
    usual = chromaticities is None or np.abs(np.subtract(chromaticities, SRGB)).max() < 0.002
    if not 0.1 <= gamma <= 5 or (usual and abs(gamma - 1 / 2.2) < 0.01):
        return None
    curve = _srgb_curve() if abs(gamma - 1 / 2.2) < 0.01 else _gamma(1 / gamma)
    try:
        return _profile(chromaticities or SRGB, curve)
    except (np.linalg.LinAlgError, ZeroDivisionError, struct.error, ValueError, OverflowError):
        return None


def _pq() -> np.ndarray:
    """Luminance by PQ signal; 1 is 203 cd/m2. Source: SMPTE ST 2084, equation 4.1."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = np.linspace(0, 1, _LEVELS) ** (1 / m2)
    luminance: np.ndarray = 10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return luminance / _WHITE_NITS


def _hlg() -> np.ndarray:
    """Luminance by HLG signal on a screen of 1,000 cd/m2; 1 is 203 cd/m2. Source: Rec. ITU-R BT.2100, table 5."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    signal = np.linspace(0, 1, _LEVELS)
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance: np.ndarray = 1_000 * scene**1.2
    return luminance / _WHITE_NITS


def _profile(chromaticities: Chromaticities, curve: bytes) -> bytes:
    """Assemble a matrix profile. Source: ICC.1:2022, sections 7.2, 9.2 and 10."""
    white, *primaries = ((x / y, 1.0, (1 - x - y) / y) for x, y in zip(*[iter(chromaticities)] * 2, strict=True))
    columns = np.array(primaries).T
    columns = columns * np.linalg.solve(columns, np.array(white))
    response = (_BRADFORD @ _D50) / (_BRADFORD @ np.array(white))
    red, green, blue = (np.linalg.inv(_BRADFORD) @ np.diag(response) @ _BRADFORD @ columns).T
    tags = {b"wtpt": _xyz(_D50), b"rXYZ": _xyz(red), b"gXYZ": _xyz(green), b"bXYZ": _xyz(blue)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body, start = struct.pack(">L", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += struct.pack(">4sLL", name, start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    header = struct.pack(">L4sL4s4s4s", start + len(body), b"", 0x04300000, b"mntr", b"RGB ", b"XYZ ").ljust(36, b"\0")
    header += b"acsp".ljust(32, b"\0") + _xyz(_D50)[8:]
    return header.ljust(128, b"\0") + table + body


def _xyz(value: np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3l", *(round(float(part) * 65536) for part in value))


def _gamma(exponent: float) -> bytes:
    return b"para\0\0\0\0\0\0\0\0" + struct.pack(">l", round(exponent * 65536))


def _srgb_curve() -> bytes:
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return b"para\0\0\0\0\0\x03\0\0" + struct.pack(">5l", *(round(number * 65536) for number in numbers))


def _table(luminance: np.ndarray) -> bytes:
    levels = (luminance.clip(0, 1) * 65535).round().astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">L", len(levels)) + levels.tobytes()
