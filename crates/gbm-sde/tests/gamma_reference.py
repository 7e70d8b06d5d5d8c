"""Reference values for tests/gamma.rs: scipy at level 0, mpmath's quadrature with 60 digits above. Writes gamma_reference.toml."""

import sys

import mpmath as mp
import scipy
from scipy import stats

mp.mp.dps = 60
CLEAN = [(0.3, 0.7, [-40.0, -1.3, 0.4, 2.1]), (2.5, 1.9, [-7.0, 0.2, 1.7, 3.3]), (40.0, 0.11, [0.9, 1.45, 2.2])]
NOISED = [(0.3, 0.7, [-60.0, -1.3, 1.1]), (2.5, 1.9, [-9.0, 0.2, 1.7, 12.0]), (40.0, 0.11, [-3.0, 1.45, 300.0])]
LEVELS = [1e-8, 3e-3, 0.37, 4.1, 110.0, 1e4]


def noised(k, theta, y_bar, v):
    k, theta, y_bar, v = map(mp.mpf, (k, theta, y_bar, v))
    log_joint = lambda y: k * (y - mp.log(theta)) - mp.exp(y) / theta - (y - y_bar) ** 2 / (2 * v)
    slope = lambda y: k - mp.exp(y) / theta - (y - y_bar) / v
    low, high = y_bar - k * v - 1, y_bar + k * v + 1
    while slope(low) < 0:
        low -= 1 + abs(low)
    for _ in range(400):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    mode, top = low, log_joint(low)

    def reach(sign):
        step = sign * mp.mpf("1e-6") * mp.sqrt(v)
        while log_joint(mode + step) - top > -110:
            step *= mp.mpf("1.2")
        return step

    left, right = reach(-1), reach(1)
    # Gauss-Legendre on pieces that shrink towards the mode.
    ends = [mode + left * mp.mpf(i) / 40 for i in range(40, 0, -1)] + [mode + right * mp.mpf(i) / 40 for i in range(41)]
    density = lambda y: mp.exp(log_joint(y) - top)
    mass = mp.quad(density, ends, maxdegree=5)
    mean = mp.quad(lambda y: (y - mode) * density(y), ends, maxdegree=5) / mass
    tilt = mp.quad(lambda y: (k - mp.exp(y) / theta) * density(y), ends, maxdegree=5) / mass
    assert abs((mode + mean - y_bar) / v - tilt) < mp.mpf("1e-22") * (1 + abs(tilt)), (k, y_bar, v)
    log_pdf = top + mp.log(mass) - mp.loggamma(k) - mp.log(2 * mp.pi * v) / 2
    return log_pdf, tilt, mode + mean


def main():
    out = [f'made_with = "Python {sys.version.split()[0]}, scipy {scipy.__version__}, mpmath {mp.__version__}"']
    for k, theta, points in CLEAN:
        for y in points:
            x = float(mp.exp(mp.mpf(y)))
            out += ["", "[[clean]]", f"shape = {k!r}", f"scale = {theta!r}", f"y = {y!r}"]
            out += [f"log_pdf = {float(stats.loggamma(k, loc=float(mp.log(theta))).logpdf(y))!r}"]
            out += [f"ambient_log_pdf = {float(stats.gamma(k, scale=theta).logpdf(x))!r}"]
    for k, theta, points in NOISED:
        for y_bar in points:
            for v in LEVELS:
                log_pdf, score, denoised = noised(k, theta, y_bar, v)
                out += ["", "[[noised]]", f"shape = {k!r}", f"scale = {theta!r}", f"y_bar = {y_bar!r}", f"v = {v!r}"]
                out += [f"log_pdf = {float(log_pdf)!r}", f"log_score = {float(score)!r}", f"denoised = {float(denoised)!r}"]
    with open(__file__.replace(".py", ".toml"), "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


main()
