"""Reference values for the laws, the goodness-of-fit tests and the tabled schedule; writes laws.toml beside itself.

    pip install numpy scipy mpmath
    python laws.py

Every value of the log-normal law is computed twice: by scipy's `lognorm` and by mpmath in 50 digits, at the very doubles that
are written. Where the two differ by more than 1e-12 relative, scipy is not sound and its value is left out (written as nan).
The limiting law of Anderson and Darling's statistic comes from its characteristic function (Gil-Pelaez inversion), its law for
few values from simulation, Kolmogorov's from Steck's determinant and `scipy.stats.kstwo`, the interpolation from `scipy.interpolate`.
"""

import math
import pathlib
import platform

import mpmath as mp
import numpy as np
import scipy
from scipy import interpolate, stats

mp.mp.dps = 50


def erfc_half(z):
    """Normal distribution function at z."""
    return mp.erfc(-z / mp.sqrt(2)) / 2


def exact(mu, sigma, x):
    mu, sigma, x = mp.mpf(mu), mp.mpf(sigma), mp.mpf(x)
    z = (mp.log(x) - mu) / sigma
    pdf = mp.exp(-z * z / 2) / (x * sigma * mp.sqrt(2 * mp.pi))
    cdf, sf = erfc_half(z), erfc_half(-z)
    # The logarithm of the larger of the two from the smaller one.
    ln_cdf = mp.log(cdf) if z < 0 else mp.log1p(-sf)
    ln_sf = mp.log(sf) if z > 0 else mp.log1p(-cdf)
    return [pdf, cdf, sf, mp.log(pdf), ln_cdf, ln_sf]


def number(value):
    return "nan" if math.isnan(value) else repr(float(value))


def row(values):
    return "[" + ", ".join(number(float(v)) for v in values) + "]"


def sound(theirs, ours):
    ours = float(ours)
    return theirs if ours != 0 and abs(theirs - ours) <= 1e-12 * abs(ours) else math.nan


def table(name, rows, note):
    return f"# {note}\n{name} = [\n" + "".join(f"    {row(r)},\n" for r in rows) + "]\n"


def lognormal():
    points, quantiles, moments, skipped, total = [], [], [], 0, 0
    for mu, sigma in [(0.3, 0.8), (-1.7, 0.15), (2.5, 2.2), (0.0, 1.0)]:
        law = stats.lognorm(s=sigma, scale=math.exp(mu))
        for z in [-1000, -60, -36.5, -21, -19, -8.25, -3.1, -0.7, 0.2, 1.3, 4.4, 9.75, 19.5, 20.5, 33, 60, 250]:
            x = math.exp(mu + sigma * z)
            if not 1e-300 < x < 1e300:
                continue
            truth = exact(mu, sigma, x)
            theirs = [law.pdf(x), law.cdf(x), law.sf(x), law.logpdf(x), law.logcdf(x), law.logsf(x)]
            kept = [sound(a, b) for a, b in zip(theirs, truth)]
            total += 6
            skipped += sum(math.isnan(k) for k in kept)
            points.append([mu, sigma, x, *truth, *kept])
        for p in [1e-300, 1e-40, 1e-9, 0.003, 0.2, 0.5, 0.77, 0.999]:
            # Root of ln cdf = ln p by Newton from scipy's value.
            z = mp.mpf(stats.norm.ppf(p))
            for _ in range(6):
                cdf = erfc_half(z)
                z -= (mp.log(cdf) - mp.log(mp.mpf(p))) * cdf / mp.npdf(z)
            low, high = mp.exp(mp.mpf(mu) + mp.mpf(sigma) * z), mp.exp(mp.mpf(mu) - mp.mpf(sigma) * z)
            kept = [sound(law.ppf(p), low), sound(law.isf(p), high)]
            total += 2
            skipped += sum(math.isnan(k) for k in kept)
            quantiles.append([mu, sigma, p, low, high, *kept])
        m, s2 = mp.mpf(mu), mp.mpf(sigma) ** 2
        raw = [mp.exp(k * m + k * k * s2 / 2) for k in range(5)]
        variance = raw[2] - raw[1] ** 2
        third = raw[3] - 3 * raw[1] * raw[2] + 2 * raw[1] ** 3
        fourth = raw[4] - 4 * raw[1] * raw[3] + 6 * raw[1] ** 2 * raw[2] - 3 * raw[1] ** 4
        truth = [raw[1], variance, third / variance ** mp.mpf(1.5), fourth / variance**2 - 3]
        # The entropy by quadrature of its definition in y = ln x.
        density = lambda y: mp.npdf(y, mu, sigma)
        at = [mp.mpf(mu) + mp.mpf(sigma) * k for k in range(-14, 15, 2)]
        truth.append(mp.quad(lambda y: density(y) * (y - mp.log(density(y))), at))
        theirs = [*law.stats(moments="mvsk"), law.entropy()]
        kept = [sound(float(a), b) for a, b in zip(theirs, truth)]
        total += 5
        skipped += sum(math.isnan(k) for k in kept)
        moments.append([mu, sigma, *truth, *kept])
    text = table("points", points, "mu, sigma, x, then pdf, cdf, sf, ln pdf, ln cdf, ln sf by mpmath, then the six by scipy")
    text += table("quantiles", quantiles, "mu, sigma, p, then quantile and inverse survival by mpmath, then the two by scipy")
    text += table("moments", moments, "mu, sigma, mean, variance, skewness, excess kurtosis, entropy by mpmath, then by scipy")
    return f"scipy_values = {total}\nscipy_unsound = {skipped}\n" + text


def steck(n, d):
    """P(D_n >= d) by Steck's determinant: n! det[(b_i - a_j)_+^(j-i+1)/(j-i+1)!], along its Hessenberg form."""
    with mp.workdps(30 + 2 * n):
        a = [max(mp.mpf(0), mp.mpf(i) / n - mp.mpf(d)) for i in range(1, n + 1)]
        b = [min(mp.mpf(1), mp.mpf(i - 1) / n + mp.mpf(d)) for i in range(1, n + 1)]
        minors = [mp.mpf(1)]
        for k in range(n):
            total, factorial = mp.mpf(0), mp.mpf(1)
            for j in range(k, -1, -1):
                factorial *= k - j + 1
                gap = b[j] - a[k]
                if gap <= 0:
                    break
                total += (-1) ** (k - j) * gap ** (k - j + 1) / factorial * minors[j]
            minors.append(total)
        return 1 - mp.factorial(n) * minors[n]


def kolmogorov():
    rows = []
    for n in [1, 2, 7, 30, 100, 200, 201, 500, 2000, 50000, 1000000]:
        for z in [0.35, 0.6, 0.85, 1.2, 1.7, 1.99, 2.01, 2.6, 4.0]:
            d = z / math.sqrt(n)
            if d < 1:
                rows.append([n, d, steck(n, d) if n <= 500 else stats.kstwo.sf(d, n)])
    note = "n, D, P(D_n >= D) exactly up to n = 500, then by scipy.stats.kstwo (itself a series there)"
    return table("kolmogorov", rows, note)


def anderson_limit(x):
    def phi_over_t(t):
        root = mp.sqrt(1 + 8j * t)
        # prod (1 - 2it/(j(j+1))) = 1/(Gamma((3 - root)/2) Gamma((3 + root)/2)); loggamma keeps the branch.
        log_phi = (mp.loggamma((3 - root) / 2) + mp.loggamma((3 + root) / 2)) / 2
        return mp.im(mp.exp(log_phi - 1j * t * x)) / t

    knots = [0] + [mp.mpf(2) ** k for k in range(-4, 1)] + list(range(2, 400, 4)) + list(range(400, 1600, 20))
    return mp.mpf(1) / 2 + mp.quad(phi_over_t, knots) / mp.pi


def anderson():
    mp.mp.dps = 25
    limit = [[x, anderson_limit(mp.mpf(x))] for x in [0.15, 0.4, 0.75, 1.5, 2.492, 3.857, 6.0, 12.0]]
    mp.mp.dps = 50
    rng = np.random.default_rng(7)
    few = []
    for n, repeats in [(5, 4_000_000), (8, 4_000_000), (30, 2_000_000)]:
        statistics = []
        for _ in range(20):
            u = np.sort(rng.random((repeats // 20, n)), axis=1)
            weight = 2 * np.arange(1, n + 1) - 1
            statistics.append(-n - (weight * (np.log(u) + np.log1p(-u[:, ::-1]))).sum(axis=1) / n)
        a2 = np.concatenate(statistics)
        for x in [0.22, 0.26, 0.3, 0.45, 0.7, 1.0, 1.6, 2.5, 3.9]:
            p = float((a2 >= x).mean())
            few.append([n, x, p, math.sqrt(p * (1 - p) / repeats)])
    text = table("anderson_limit", limit, "A2, P(A2 >= ...) in the limit, from the characteristic function")
    return text + table("anderson_few", few, "n, A2, P(A2_n >= ...) by simulation, its standard error")


def sample():
    rng = np.random.default_rng(11)
    data = np.exp(0.1 + 0.5 * rng.standard_normal(40))
    law = stats.lognorm(s=0.6, scale=math.exp(0.2))
    ks = stats.kstest(data, law.cdf, method="exact")
    # A2 = n int (F_n - F)^2/(F (1 - F)) dF, piece by piece, instead of the usual sum.
    u = [mp.mpf(0), *sorted(erfc_half((mp.log(mp.mpf(float(x))) - mp.mpf(0.2)) / mp.mpf(0.6)) for x in data), mp.mpf(1)]
    n = len(data)
    a2 = mp.mpf(0)
    for i in range(n + 1):
        f = mp.mpf(i) / n
        # (f - u)^2/(u (1 - u)) = f^2/u + (1 - f)^2/(1 - u) - 1
        a, b = u[i], u[i + 1]
        a2 += (f * f * mp.log(b / a) if i > 0 else 0) - (b - a)
        a2 += (1 - f) ** 2 * mp.log((1 - a) / (1 - b)) if i < n else 0
    return f"sample = {row(data)}\nsample_ks = {row([ks.statistic, ks.pvalue])}\nsample_a2 = {number(n * a2)}\n"


def pchip():
    knots = [(0.0, 0.0), (0.2, 0.05), (0.5, 0.07), (0.6, 0.9), (1.1, 1.0), (1.5, 4.0)]
    f = interpolate.PchipInterpolator(*zip(*knots))
    slope = f.derivative()
    times = [0.0, 0.05, 0.13, 0.2, 0.31, 0.47, 0.5, 0.52, 0.59, 0.6, 0.7, 1.0, 1.1, 1.23, 1.4, 1.5]
    text = table("knots", knots, "t, v")
    return text + table("pchip", [[t, f(t), slope(t)] for t in times], "t, v, dv/dt by PchipInterpolator")


if __name__ == "__main__":
    versions = f"python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, mpmath {mp.__version__}"
    parts = [f'made_by = "laws.py with {versions}"\n', lognormal(), kolmogorov(), anderson(), sample(), pchip()]
    pathlib.Path(__file__).with_name("laws.toml").write_text("".join(parts))
