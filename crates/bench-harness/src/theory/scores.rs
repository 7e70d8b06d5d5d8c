//! Three scores of one marginal and one denoiser.

use anyhow::Result;
use score_match::{DataMoments, Precondition};

use super::identity::{Identity, Ledger, POINTS, TIMES, Truth, derivative, integral, normal};

pub(super) fn identities() -> Result<Vec<Identity>> {
    let mut ledger = Ledger::new(1);
    three_scores(&mut ledger)?;
    denoiser(&mut ledger)?;
    preconditioning(&mut ledger)?;
    Ok(ledger.identities)
}

fn three_scores(ledger: &mut Ledger) -> Result<()> {
    let truth = Truth::new()?;
    let (mut hyvarinen, mut log_space, mut normalized, mut convolved) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for t in TIMES {
        let (m, v) = truth.at(t);
        normalized.push((1.0, integral(|x| truth.density(x, t), 0.0, 12.0_f64.exp())?));
        for y in POINTS {
            let x = y.exp();
            let stein = derivative(|z| truth.density(z, t).ln(), x, 0.005 * x);
            hyvarinen.push((truth.hyvarinen(x, t), x * stein));
            log_space.push((truth.score(y, t), derivative(|u| truth.log_density(u, t), y, 0.005)));
            let direct = integral(|y0| Truth::start_density(y0) * normal(y - m, y0, v), -4.0, 4.0)?;
            convolved.push((truth.log_density(y, t), direct.ln()));
        }
    }
    ledger.add(
        r"p_Y(y, t) = \int p_{Y_0}(y_0)\, N(y - m;\, y_0, v)\, dy_0",
        ("closed form of the mixture", "quadrature"),
        1e-11,
        &convolved,
    );
    ledger.add(r"\int_0^\infty p_X(x, t)\, dx = 1", ("one", "quadrature of the closed form"), 1e-11, &normalized);
    ledger.add(r"g = \nabla_y \ln p_Y", ("closed form", "finite difference of ln p in y"), 1e-9, &log_space);
    ledger.add(
        r"h = x\, \partial_x \ln p_X = g - 1",
        ("closed form of h", "finite difference of ln p in x"),
        1e-9,
        &hyvarinen,
    );
    Ok(())
}

fn denoiser(ledger: &mut Ledger) -> Result<()> {
    let truth = Truth::new()?;
    let (mut tweedie, mut means, mut noises, mut slopes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for v in [0.02, 0.3, 2.5] {
        let v: f64 = v;
        for y in POINTS {
            let mean = truth.posterior(y, v, |y0| y0)?;
            let slope = derivative(|u| truth.start.log_pdf(&[u], v), y, 0.02 * v.sqrt().max(0.2));
            means.push((truth.denoised(y, v), mean));
            tweedie.push(((mean - y) / v, slope));
            noises.push((-v.sqrt() * slope, truth.posterior(y, v, |y0| (y - y0) / v.sqrt())?));
            let spread = truth.posterior(y, v, |y0| (y0 - mean).powi(2))?;
            slopes.push((derivative(|u| truth.denoised(u, v), y, 0.02 * v.sqrt().max(0.2)), spread / v));
        }
    }
    ledger.add(
        r"D(\bar y, v) = E[\ln x_0 \mid \bar y\,]",
        ("closed form", "quadrature over the posterior"),
        1e-10,
        &means,
    );
    ledger.add(r"g = (D - \bar y)/v", ("posterior mean by quadrature", "finite difference of ln p"), 1e-7, &tweedie);
    ledger.add(
        r"-r\, g = E[\varepsilon \mid \bar y\,]",
        ("finite difference of ln p", "quadrature over the posterior"),
        1e-8,
        &noises,
    );
    ledger.add(
        r"\partial_{\bar y} D = \mathrm{Var}[\ln x_0 \mid \bar y\,]/v",
        ("finite difference of D", "quadrature over the posterior"),
        1e-7,
        &slopes,
    );
    Ok(())
}

/// For Gaussian data the best denoiser is the skip alone, and the network's target has unit variance for any data.
fn preconditioning(ledger: &mut Ledger) -> Result<()> {
    let (mean, sd) = (0.095, 0.219);
    let precondition = Precondition::new(DataMoments { log_mean: mean, log_sd: sd })?;
    let (mut skips, mut inputs, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for v in [0.0004_f64, 0.05, 3.0] {
        let c = precondition.at(v);
        let total = v + sd * sd;
        for y in [-0.4, 0.2, 0.6] {
            let weight = |y0: f64| normal(y0, mean, sd * sd) * normal(y, y0, v);
            // Around the posterior, wherever it is narrow.
            let (centre, reach) = (mean + sd * sd / total * (y - mean), 12.0 * (v * sd * sd / total).sqrt());
            let (low, high) = (centre - reach, centre + reach);
            let posterior = integral(|y0| y0 * weight(y0), low, high)? / integral(weight, low, high)?;
            skips.push((mean + c.c_skip * (y - mean), posterior));
        }
        // E over y_0 and ε of the squared input and target, as double integrals.
        let square = |f: &dyn Fn(f64, f64) -> f64| -> Result<f64> {
            let inner =
                |y0: f64| integral(|e| normal(e, 0.0, 1.0) * f(y0, mean + y0 + v.sqrt() * e).powi(2), -12.0, 12.0);
            let mut failed = None;
            let outer = integral(
                |y0| {
                    inner(y0).map(|i| i * normal(y0, 0.0, sd * sd)).unwrap_or_else(|e| {
                        failed = Some(e);
                        f64::NAN
                    })
                },
                -12.0 * sd,
                12.0 * sd,
            );
            match failed {
                Some(error) => Err(error),
                None => outer,
            }
        };
        inputs.push((1.0, square(&|_, y| c.c_in * (y - mean))?));
        targets.push((1.0, square(&|y0, y| (y0 - c.c_skip * (y - mean)) / c.c_out)?));
    }
    ledger.add(
        r"\bar\mu + c_{\mathrm{skip}}\, u = E[\ln x_0 \mid \bar y\,] \;\;\text{for Gaussian}\; \ln x_0",
        ("coefficient", "quadrature over the posterior"),
        1e-11,
        &skips,
    );
    ledger.add(r"E\,[(c_{\mathrm{in}} u)^2] = 1", ("one", "double quadrature"), 1e-10, &inputs);
    ledger.add(
        r"E\,[((\ln x_0 - \bar\mu - c_{\mathrm{skip}} u)/c_{\mathrm{out}})^2] = 1",
        ("one", "double quadrature"),
        1e-9,
        &targets,
    );
    Ok(())
}
