//! The forward process: the paper's equations in §1 of its mathematics.

use anyhow::Result;
use gbm_sde::goodness::kolmogorov_smirnov;
use gbm_sde::normal::normal_quantile;
use gbm_sde::process::fokker_planck::Differences;
use gbm_sde::{Drift, Gbm, LogNormal, Noise, Schedule, ScheduleConfig, Stream, Variance};

use super::identity::{Identity, Ledger, TIMES, Truth, derivative, integral};

const SIMULATION: Stream = Stream(83);
const PATHS: usize = 4000;
const STEPS: usize = 400;

pub(super) fn identities(seed: u64) -> Result<Vec<Identity>> {
    let mut ledger = Ledger::new(0);
    integrals(&mut ledger)?;
    moments(&mut ledger)?;
    fokker_planck(&mut ledger)?;
    simulation(&mut ledger, seed)?;
    Ok(ledger.identities)
}

fn integrals(ledger: &mut Ledger) -> Result<()> {
    let (mut drifts, mut variances, mut inverses) = (Vec::new(), Vec::new(), Vec::new());
    for variance in [
        Variance::Constant { sigma: 0.8 },
        Variance::Linear { sigma_min: 0.3, sigma_max: 1.1 },
        Variance::Geometric { r_min: 0.05, r_max: 2.0 },
        Variance::Karras { r_min: 0.05, r_max: 2.0, rho: 7.0 },
    ] {
        for drift in [Drift::ZeroLog, Drift::ZeroMean, Drift::Free(0.3)] {
            let s = Schedule::new(ScheduleConfig { variance: variance.clone(), drift, horizon: 1.5 })?;
            for t in TIMES {
                let square = |u: f64| s.sigma(u).powi(2);
                drifts.push((s.log_drift(t), integral(|u| s.mu(u) - 0.5 * square(u), 0.0, t)?));
                variances.push((s.log_variance(t), integral(square, 0.0, t)?));
                inverses.push((s.time_at_variance(integral(square, 0.0, t)?)?, t));
            }
        }
    }
    ledger.add(
        r"m(t) = \int_0^t \bigl(\mu - \tfrac{1}{2}\sigma^2\bigr) ds",
        ("closed form, four schedules", "quadrature of μ and σ"),
        1e-12,
        &drifts,
    );
    ledger.add(r"v(t) = \int_0^t \sigma^2\, ds", ("closed form, four schedules", "quadrature of σ"), 1e-12, &variances);
    ledger.add(r"t(v(t)) = t", ("closed-form inverse", "quadrature of σ"), 1e-11, &inverses);
    Ok(())
}

fn moments(ledger: &mut Ledger) -> Result<()> {
    let truth = Truth::new()?;
    let gbm = Gbm::new(truth.schedule.clone());
    let x0 = 1.7;
    let (mut means, mut variances, mut medians, mut modes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for t in TIMES {
        let law = gbm.transition(x0, t)?;
        let (m, v) = truth.at(t);
        // Quadrature in the ambient density itself; its mass beyond e⁹ medians is below 1e-16.
        let top = law.median() * 9.0_f64.exp();
        let moment = |k: i32| integral(|x| x.powi(k) * law.pdf(x), 0.0, top);
        let growth = integral(|u| truth.schedule.mu(u), 0.0, t)?.exp();
        let mean = moment(1)?;
        means.push((x0 * growth, mean));
        variances.push((x0 * x0 * growth * growth * v.exp_m1(), moment(2)? - mean * mean));
        medians.push((0.5, integral(|x| law.pdf(x), 0.0, x0 * m.exp())?));
        modes.push((0.0, derivative(|x| law.ln_pdf(x), x0 * (m - v).exp(), 0.02 * x0 * (m - v).exp())));
    }
    ledger.add(r"E[X_t \mid x_0] = x_0\, e^{\int \mu}", ("formula", "quadrature of x p(x)"), 1e-10, &means);
    ledger.add(
        r"\mathrm{Var}[X_t \mid x_0] = x_0^2\, e^{2\int\mu} (e^{v} - 1)",
        ("formula", "quadrature of x² p(x)"),
        1e-9,
        &variances,
    );
    ledger.add(
        r"P(X_t \le x_0\, e^{m}) = \tfrac{1}{2}",
        ("formula of the median", "quadrature of p(x)"),
        1e-11,
        &medians,
    );
    ledger.add(
        r"\partial_x \ln p\, (x_0\, e^{m - v}) = 0",
        ("formula of the mode", "finite difference of ln p"),
        1e-8,
        &modes,
    );
    Ok(())
}

fn fokker_planck(ledger: &mut Ledger) -> Result<()> {
    let truth = Truth::new()?;
    let gbm = Gbm::new(truth.schedule.clone());
    let mut sides = Vec::new();
    for t in TIMES {
        for x in [0.4, 0.9, 1.6, 3.0] {
            let terms = gbm.fokker_planck(|x, t| truth.density(x, t), x, t, Differences { dx: 2e-3, dt: 1e-3 })?;
            sides.push((terms.change, terms.diffusion - terms.transport));
        }
    }
    ledger.add(
        r"\partial_t p = -\partial_x(\mu x p) + \tfrac{1}{2}\, \partial_{xx}(\sigma^2 x^2 p)",
        ("finite difference in t of the marginal", "finite differences in x of the marginal"),
        1e-7,
        &sides,
    );
    Ok(())
}

/// The equation `dX = μ X dt + σ X dW` itself, stepped, against the exact law.
fn simulation(ledger: &mut Ledger, seed: u64) -> Result<()> {
    let truth = Truth::new()?;
    let (x0, t) = (1.7_f64, 1.3);
    let (m, v) = truth.at(t);
    let dt = t / STEPS as f64;
    let noise = Noise::new(seed);
    let mut normals = vec![0.0; STEPS];
    let mut logs = Vec::with_capacity(PATHS);
    for path in 0..PATHS {
        noise.fill_normal_f64(SIMULATION, path as u64, 0, &mut normals);
        let mut x = x0;
        for (k, z) in normals.iter().enumerate() {
            // Milstein's scheme at the middle of the step.
            let at = (k as f64 + 0.5) * dt;
            let (mu, sigma) = (truth.schedule.mu(at), truth.schedule.sigma(at));
            x *= 1.0 + mu * dt + sigma * dt.sqrt() * z + 0.5 * sigma * sigma * dt * (z * z - 1.0);
        }
        logs.push(x.ln());
    }
    let n = PATHS as f64;
    let mean = logs.iter().sum::<f64>() / n;
    let variance = logs.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let means = ("exact law", "4,000 paths of 400 Milstein steps");
    ledger.add_simulated(r"E[\ln X_t \mid x_0] = \ln x_0 + m", means, &[(mean - x0.ln() - m) / (v / n).sqrt()]);
    ledger.add_simulated(r"\mathrm{Var}[\ln X_t \mid x_0] = v", means, &[(variance - v) / (v * (2.0 / n).sqrt())]);
    let law = LogNormal::new(x0.ln() + m, v.sqrt())?;
    let values: Vec<f64> = logs.iter().map(|y| y.exp()).collect();
    let p = kolmogorov_smirnov(&values, |x| law.cdf(x))?.p_value;
    let means = ("exact law", "Kolmogorov–Smirnov test of the paths, p-value as a normal deviate");
    ledger.add_simulated(r"X_t \sim \text{log-normal}(\ln x_0 + m,\, v)", means, &[(-normal_quantile(p)).max(0.0)]);
    Ok(())
}
