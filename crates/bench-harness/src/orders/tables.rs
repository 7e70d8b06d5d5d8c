//! The tables of the page, and `orders.csv`: every number behind the charts and the slopes.

use std::fmt::Write;

use anyhow::Result;
use samplers::order::problem::MARGIN;
use samplers::order::reached::NEAR;

use super::Orders;
use super::figures::{SIGNS, file, panel_file};
use super::signs;
use super::slopes::{Quantity, Slope};
use crate::report::table::{Cell, Column, Table};

/// One table for each part of the page.
pub(super) fn all(orders: &Orders) -> Result<[Table; 3]> {
    Ok([slopes(orders)?, calls(orders)?, signs(orders)?])
}

fn order(value: f64) -> String {
    if value == 0.5 { "½".to_owned() } else { value.to_string() }
}

fn yes(holds: bool) -> Cell {
    if holds { "yes" } else { "NO" }.into()
}

fn slopes(orders: &Orders) -> Result<Table> {
    let decimals = |name: &str| Column { decimals: Some(2), ..Column::number(name) };
    let mut columns = vec![Column::text("sampler"), Column::text("theory, weak / strong")];
    columns.extend(Quantity::ALL.map(|quantity| decimals(quantity.name())));
    columns.push(Column::text("holds"));
    let mut table = Table::new("Measured orders", columns);
    for of in orders.slopes.chunk_by(|a, b| a.sampler == b.sampler) {
        let theory =
            |quantity: Quantity| of.iter().find(|s| s.quantity == quantity).map_or("–".into(), |s| order(s.theory));
        let orders = format!("{} / {}", theory(Quantity::Mean), theory(Quantity::Path));
        let mut row: Vec<Cell> = vec![of[0].sampler.into(), orders.into()];
        row.extend(Quantity::ALL.map(|quantity| match of.iter().find(|s| s.quantity == quantity) {
            Some(s) if s.standard_error > 0.0 => Cell::Spread(s.found, s.standard_error),
            Some(s) => Cell::Number(s.found),
            None => Cell::Missing,
        }));
        row.push(yes(of.iter().all(Slope::holds)));
        table.push(row)?;
    }
    table.notes = vec![
        format!("A sampler holds when all its slopes are within {MARGIN} of theory."),
        "1D: mean and variance of ln x and Wasserstein-1 distance W₁ of x, by quadrature. 2D: norms of the errors of mean and covariance \
         of x; ± is one standard error of the slope, at most."
            .into(),
        "Strong: mean distance of paths on one Brownian motion; for the probability flow, from one start.".into(),
    ];
    Ok(table)
}

fn calls(orders: &Orders) -> Result<Table> {
    let mut table = Table::new(
        "Convergence to the truth, down to r = 0",
        vec![
            Column::text("sampler"),
            Column::text("refined"),
            Column::number("fewest calls"),
            Column::number("distance there"),
            Column::number("most calls"),
            Column::number("distance there"),
            Column::number("scatter there"),
            Column { decimals: Some(2), ..Column::number("power") },
            Column::text("converges"),
        ],
    );
    let ways = &orders.ways;
    for way in &ways.ways {
        let (Some(first), Some(last)) = (way.reached.first(), way.reached.last()) else { continue };
        let exempt = way.theory.weak().is_none();
        let distance = |value: f64| Cell::Text(format!("{value:.1e}").replace('-', "−"));
        let rate = ways.rate(way);
        table.push(vec![
            way.sampler.into(),
            way.refined.into(),
            (first.calls as f64).into(),
            distance(first.wasserstein),
            (last.calls as f64).into(),
            distance(last.wasserstein),
            if last.scatter > 0.0 { distance(last.scatter) } else { Cell::Missing },
            if rate.is_finite() { rate.into() } else { Cell::Missing },
            if exempt { yes(ways.converges(way)) } else { "has an order".into() },
        ])?;
    }
    table.notes = vec![
        format!(
            "Wasserstein-1 distance of ln |x| to the clean data from {} states, mean of two seeds; scatter: distance of their ends. \
             The last step, from r = 0.002 to 0, leaves {:.1e}.",
            ways.states, ways.last_step
        )
        .replace("e-", "e−"),
        format!(
            "Samplers without an order must end within {NEAR}, and each of the last three refinements must take away a fifth of the \
             distance unless it is within twice the scatter or what the last step leaves. The distance falls as the \
             calls to the power given: a least-squares slope above that floor, its sign turned."
        ),
    ];
    Ok(table)
}

fn signs(orders: &Orders) -> Result<Table> {
    let scientific = |value: f64| Cell::Text(format!("{value:.2e}").replace('-', "−"));
    let mut table = Table::new(
        "Changed signs in one step of the unconstrained sampler",
        vec![
            Column { decimals: Some(1), ..Column::number("t") },
            Column::number("δ"),
            Column::number("changed"),
            Column::number("of"),
            Column::number("rate"),
            Column::text("95% interval"),
            Column::number("Gaussian tail"),
            Column { decimals: Some(1), ..Column::number("difference in standard errors") },
            Column::text("agrees"),
        ],
    );
    for rate in &orders.flips.rates {
        let (low, high) = rate.interval();
        table.push(vec![
            rate.time.into(),
            Cell::Text(rate.delta.to_string()),
            (rate.count as f64).into(),
            (rate.draws as f64).into(),
            scientific(rate.rate()),
            format!("{low:.2e} to {high:.2e}").replace('-', "−").into(),
            scientific(rate.predicted),
            rate.deviation().into(),
            yes(rate.agrees()),
        ])?;
    }
    Ok(table)
}

/// `figure,series,quantity,x_is,x,value,low,high`: the chart that shows it (empty if none), and a 95% interval where there is one.
pub(super) fn csv(orders: &Orders) -> String {
    let mut text = String::from("figure,series,quantity,x_is,x,value,low,high\n");
    // Writing to a string cannot fail.
    let mut row =
        |figure: &str, series: &str, quantity: &str, x_is: &str, x: f64, value: f64, ends: Option<(f64, f64)>| {
            let ends = ends.map_or(",".to_owned(), |(low, high)| format!("{low:e},{high:e}"));
            let _ = writeln!(text, "{figure},{series},\"{quantity}\",{x_is},{x},{value:e},{ends}");
        };
    for slope in &orders.slopes {
        for p in &slope.points {
            let half = 1.96 * p.standard_error;
            let ends = (half > 0.0).then_some((p.error - half, p.error + half));
            let figure = file(slope).unwrap_or_default();
            row(figure, slope.sampler, slope.quantity.name(), "steps", p.steps as f64, p.error, ends);
        }
    }
    for way in &orders.ways.ways {
        for r in &way.reached {
            let (figure, calls) = (panel_file(way.panel), r.calls as f64);
            row(figure, way.sampler, "Wasserstein-1 of ln|x|", "calls", calls, r.wasserstein, None);
            row("", way.sampler, "scatter between two seeds", "calls", calls, r.scatter, None);
            row("", way.sampler, "part of negative x", "calls", calls, r.negative, None);
        }
    }
    for r in &orders.flips.rates {
        let series = format!("t = {}", r.time);
        row(SIGNS, &series, "rate of changed signs, counted", "delta", r.delta, r.rate(), Some(r.interval()));
        row(SIGNS, &series, "rate of changed signs, Gaussian tail", "delta", r.delta, r.predicted, None);
    }
    for (time, curve) in signs::TIMES.iter().zip(&orders.flips.curves) {
        for &(delta, p) in curve {
            row(SIGNS, &format!("t = {time}"), "Gaussian tail, curve", "delta", delta, p, None);
        }
    }
    for &(delta, _) in &orders.flips.curves[0] {
        row(SIGNS, "no drift", "Gaussian tail, curve", "delta", delta, signs::bare_tail(delta), None);
    }
    text
}
