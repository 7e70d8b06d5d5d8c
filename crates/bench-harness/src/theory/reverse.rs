//! Reverse time: the reversed equation, the probability flow, and the steps built on them.

use anyhow::Result;
use gbm_sde::{Gbm, LogStep};

use super::identity::{Identity, Ledger, POINTS, TIMES, Truth, derivative, integral, normal, second_derivative};

pub(super) fn identities() -> Result<Vec<Identity>> {
    let mut ledger = Ledger::new(2);
    reversed_equations(&mut ledger)?;
    flow(&mut ledger)?;
    steps(&mut ledger)?;
    Ok(ledger.identities)
}

/// A density that solves the forward equation must solve the Fokker–Planck equation of the reversed one, with time reversed.
fn reversed_equations(ledger: &mut Ledger) -> Result<()> {
    let truth = Truth::new()?;
    let gbm = Gbm::new(truth.schedule.clone());
    let (mut ambient, mut log_space, mut continuity) = (Vec::new(), Vec::new(), Vec::new());
    for t in TIMES {
        let s2 = truth.schedule.sigma(t).powi(2);
        for y in POINTS {
            let x = y.exp();
            let rate = derivative(|u| truth.density(x, u), t, 0.01);
            let drift = |z: f64| gbm.reverse_drift(z, truth.hyvarinen(z, t), t) * truth.density(z, t);
            let spread = second_derivative(|z| s2 * z * z * truth.density(z, t), x, 0.05 * x);
            ambient.push((-rate, -derivative(drift, x, 0.02 * x) + 0.5 * spread));

            let density = |u: f64, t: f64| truth.log_density(u, t).exp();
            let rate = derivative(|u| density(y, u), t, 0.01);
            let drift = |u: f64| gbm.log_reverse_drift(truth.score(u, t) - 1.0, t) * density(u, t);
            let spread = second_derivative(|u| s2 * density(u, t), y, 0.05);
            log_space.push((-rate, -derivative(drift, y, 0.02) + 0.5 * spread));

            let flux = |u: f64| gbm.flow_velocity(truth.score(u, t), t) * density(u, t);
            continuity.push((rate, -derivative(flux, y, 0.02)));
        }
    }
    let means = ("finite difference in t of the marginal", "finite differences in space, with the closed-form score");
    ledger.add(
        r"\begin{gathered} dX = [-\mu + 2\sigma^2 + \sigma^2 h]\, X\, d\tau + \sigma X\, dW \\ \Rightarrow\; -\partial_t p = -\partial_x(b p) + \tfrac{1}{2} \partial_{xx}(\sigma^2 x^2 p) \end{gathered}",
        means,
        1e-7,
        &ambient,
    );
    ledger.add(
        r"\begin{gathered} dY = [-\mu + \tfrac{3}{2}\sigma^2 + \sigma^2 h]\, d\tau + \sigma\, dW \\ \Rightarrow\; -\partial_t p = -\partial_y(b p) + \tfrac{1}{2} \sigma^2 \partial_{yy} p \end{gathered}",
        means,
        1e-7,
        &log_space,
    );
    ledger.add(
        r"\begin{gathered} dY/dt = \mu - \tfrac{1}{2}\sigma^2 - \tfrac{1}{2}\sigma^2 g \\ \Rightarrow\; \partial_t p = -\partial_y(\dot y\, p) \end{gathered}",
        means,
        1e-7,
        &continuity,
    );
    Ok(())
}

/// The flow carries quantiles to quantiles.
fn flow(ledger: &mut Ledger) -> Result<()> {
    let truth = Truth::new()?;
    let mut sides = Vec::new();
    for p in [0.02, 0.2, 0.35, 0.6, 0.97] {
        let (from, to, n) = (1.4_f64, 0.15_f64, 4000);
        let mut y = truth.start.marginal_quantile(0, p, from * from);
        let slope = |y: f64, r: f64| (y - truth.denoised(y, r * r)) / r;
        let h = (to - from) / f64::from(n);
        for k in 0..n {
            // Runge and Kutta's fourth-order step.
            let r = from + h * f64::from(k);
            let k1 = slope(y, r);
            let k2 = slope(y + 0.5 * h * k1, r + 0.5 * h);
            let k3 = slope(y + 0.5 * h * k2, r + 0.5 * h);
            let k4 = slope(y + h * k3, r + h);
            y += h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4);
        }
        let below = integral(|u| truth.start.log_pdf(&[u], to * to).exp(), -12.0, y)?;
        sides.push((p, below));
    }
    ledger.add(
        r"\begin{gathered} d\bar y/dr = (\bar y - D)/r \\ \Rightarrow\; P(\bar y(r') \le \bar y') = P(\bar y(r) \le \bar y) \end{gathered}",
        ("probability at r = 1.4", "Runge–Kutta to r = 0.15, then quadrature of the density"),
        1e-9,
        &sides,
    );
    Ok(())
}

fn steps(ledger: &mut Ledger) -> Result<()> {
    let truth = Truth::new()?;
    let gbm = Gbm::new(truth.schedule.clone());
    let (mut constant, mut slope, mut noise, mut centred) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (t, next) in [(1.3, 0.9), (0.55, 0.1)] {
        let step = LogStep::between_times(&truth.schedule, t, next)?;
        let e = step.exponent();
        // The reverse drift with the score held, integrated over the step.
        let drift = |h: f64| integral(|u| gbm.log_reverse_drift(h, u), next, t);
        constant.push((e.a, drift(0.0)?));
        slope.push((e.b, drift(1.0)? - drift(0.0)?));
        noise.push((e.c * e.c, integral(|u| truth.schedule.sigma(u).powi(2), next, t)?));
        let (m, v) = truth.at(t);
        let m_next = truth.schedule.log_drift(next);
        for y in POINTS {
            let z = 0.4;
            let ambient = e.apply(y.exp(), truth.score(y, t) - 1.0, z).ln() - m_next;
            let y_bar = y - m;
            let state = step.alpha() * y_bar + step.beta() * truth.denoised(y_bar, v) + step.eta() * z;
            centred.push((ambient, state));
        }
    }
    ledger.add(
        r"a = -\Delta m + \Delta v = \int \bigl(-\mu + \tfrac{3}{2}\sigma^2\bigr) dt",
        ("coefficient of the Dale–Langevin step", "quadrature of the drift"),
        1e-12,
        &constant,
    );
    ledger.add(
        r"b = \Delta v = \int \sigma^2\, dt",
        ("coefficient of the Dale–Langevin step", "quadrature of the drift"),
        1e-12,
        &slope,
    );
    ledger.add(
        r"c^2 = \Delta v = \int \sigma^2\, dt",
        ("coefficient of the Dale–Langevin step", "quadrature of σ²"),
        1e-12,
        &noise,
    );
    ledger.add(
        r"\begin{gathered} x' = x\, e^{a + b h + c z} \\ \iff \bar y' = (1 - \tfrac{\Delta v}{v})\, \bar y + \tfrac{\Delta v}{v} D + \sqrt{\Delta v}\, z \end{gathered}",
        ("exponentiated update with h", "linear update with D"),
        1e-12,
        &centred,
    );
    first_order(ledger)?;
    ancestral(ledger)?;
    Ok(())
}

/// Mean of the exponentiated factor over the noise, against the unconstrained one: they agree to first order, so the
/// difference falls fourfold when the step is halved.
fn first_order(ledger: &mut Ledger) -> Result<()> {
    let (mu, s2, h) = (0.3, 0.64, -1.7);
    let gap = |delta: f64| -> Result<f64> {
        let exponent = |z: f64| delta * (1.5 * s2 - mu + s2 * h) + (s2 * delta).sqrt() * z;
        let mean = integral(|z| exponent(z).exp() * normal(z, 0.0, 1.0), -14.0, 14.0)?;
        Ok(mean - (1.0 + delta * (2.0 * s2 - mu + s2 * h)))
    };
    let sides: Vec<_> =
        [1e-2, 5e-3].into_iter().map(|d| Ok(((gap(d)? / gap(0.5 * d)?).log2(), 2.0))).collect::<Result<_>>()?;
    ledger.add(
        r"\begin{gathered} E_z\, e^{\delta(\frac{3}{2}\sigma^2 - \mu + \sigma^2 h) + \sigma\sqrt{\delta} z} \\ = 1 + \delta(2\sigma^2 - \mu + \sigma^2 h) + O(\delta^2) \end{gathered}",
        ("measured exponent, by quadrature and halving", "two"),
        0.02,
        &sides,
    );
    Ok(())
}

/// For a point mass `D` is constant, and the ancestral step gives the exact marginal at the lower level.
fn ancestral(ledger: &mut Ledger) -> Result<()> {
    let (point, v, next): (f64, f64, f64) = (0.4, 0.7, 0.2);
    let sd = (next * (1.0 - next / v)).sqrt();
    let mut sides = Vec::new();
    for y in [-0.6, 0.3, 1.2] {
        let push = |from: f64| normal(y, point + next / v * (from - point), sd * sd) * normal(from, point, v);
        sides.push((normal(y, point, next), integral(push, point - 12.0 * v.sqrt(), point + 12.0 * v.sqrt())?));
    }
    ledger.add(
        r"\bar y' = D + \tfrac{v'}{v}(\bar y - D) + \sqrt{v'(1 - v'/v)}\, z \;\sim\; N(y_0, v')",
        ("density of the marginal of a point mass", "quadrature of the step's kernel over the marginal at v"),
        1e-11,
        &sides,
    );
    Ok(())
}
