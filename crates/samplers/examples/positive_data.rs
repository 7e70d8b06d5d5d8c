//! New rows of positive data (prices, counts, concentrations) by reversing geometric Brownian motion, without a network.
//!
//! ```sh
//! cargo run --release -p samplers --example positive_data -- 1000 < table.csv > new.csv
//! ```
//!
//! Comma-separated positive numbers come in, a line for each row, with or without a head. The law of their logarithms is estimated by a
//! Gaussian kernel around each row (Scott's rule), a mixture of log-normals, whose denoiser `D(ȳ, v)` is exact. A network of one's
//! own takes its place by implementing `Denoiser<Array2<f64>>`.

use std::error::Error;
use std::io::{Read, stdin};
use std::ops::ControlFlow;

use gbm_sde::{LogNormalMixture, Noise, Stream};
use ndarray::{Array2, Axis};
use samplers::{AddressedNoise, GridConfig, SamplerConfig};

/// Noise of the start; samplers use other streams.
const START: Stream = Stream(90);

/// Rows of positive numbers, and the head if there is one.
fn table(text: &str) -> Result<(Option<String>, Array2<f64>), Box<dyn Error>> {
    let mut head = None;
    let (mut values, mut columns) = (Vec::new(), 0);
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row: Result<Vec<f64>, _> = line.split(',').map(|cell| cell.trim().parse::<f64>()).collect();
        match row {
            Ok(row) if columns == 0 || row.len() == columns => {
                if let Some(bad) = row.iter().find(|x| !(**x > 0.0 && x.is_finite())) {
                    return Err(format!("line {}: {bad} is not positive", number + 1).into());
                }
                columns = row.len();
                values.extend(row);
            }
            Ok(row) => return Err(format!("line {}: {} numbers, {columns} before", number + 1, row.len()).into()),
            Err(_) if number == 0 => head = Some(line.to_owned()),
            Err(error) => return Err(format!("line {}: {error}", number + 1).into()),
        }
    }
    let rows = values.len() / columns.max(1);
    if rows < 2 {
        return Err("at least two rows are needed".into());
    }
    Ok((head, Array2::from_shape_vec((rows, columns), values)?))
}

/// `n` rows by the law of the given ones.
fn draw(rows: &Array2<f64>, n: usize) -> Result<Array2<f64>, Box<dyn Error>> {
    let logs = rows.mapv(f64::ln);
    let mean = logs.mean_axis(Axis(0)).ok_or("no rows")?;
    let variance = logs.var_axis(Axis(0), 1.0);
    let (count, d) = logs.dim();

    // All columns on one scale, so that one noise level means as much in each. A column that does not vary stays as it is.
    let scale = variance.mapv(|v| if v > 0.0 { v.sqrt() } else { 1e-12 });
    let standard = (&logs - &mean) / &scale;

    // Scott's rule: h = n^(−1/(d + 4)) on that scale.
    let h = (count as f64).powf(-1.0 / (d as f64 + 4.0));
    let centres = standard.rows().into_iter().map(|row| row.to_vec()).collect();
    let law = LogNormalMixture::new(vec![1.0; count], centres, vec![vec![h * h; d]; count])?;

    // From a level at which the data are gone down to one that cannot be seen.
    let grid = GridConfig::Karras { r_min: 0.02 * h, r_max: 20.0, rho: 7.0, steps: 40 }.build(None)?;
    let noise = Noise::new(1);
    let mut start = Array2::zeros((n, d));
    for (i, mut row) in start.outer_iter_mut().enumerate() {
        let mut z = vec![0.0; d];
        noise.fill_normal_f64(START, i as u64, 0, &mut z);
        row.iter_mut().zip(z).for_each(|(y, z)| *y = (1.0 + grid.start()).sqrt() * z);
    }
    let sampler = SamplerConfig::Heun {}.build::<Array2<f64>>()?;
    let mut source = AddressedNoise::sampler(1, 0);
    let end = sampler.sample(start, &law, &mut source, &grid, &mut |_| ControlFlow::Continue(()))?;
    Ok((end.state * &scale + &mean).mapv(f64::exp))
}

fn main() -> Result<(), Box<dyn Error>> {
    let n: usize = std::env::args().nth(1).map_or(Ok(1000), |text| text.parse())?;
    let mut text = String::new();
    stdin().read_to_string(&mut text)?;
    let (head, rows) = table(&text)?;
    let drawn = draw(&rows, n)?;
    if let Some(head) = head {
        println!("{head}");
    }
    for row in drawn.outer_iter() {
        println!("{}", row.iter().map(f64::to_string).collect::<Vec<_>>().join(","));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and covariance of the logarithms are those of the kernel estimate, s_ij + h² s_ii [i = j]; 4,000 rows: five standard errors.
    #[test]
    fn new_rows_have_the_law_of_the_old_ones() {
        let (count, n) = (60, 4000);
        let mut z = vec![0.0; 2 * count];
        Noise::new(7).fill_normal_f64(START, 0, 0, &mut z);
        // Two columns on scales that have nothing to do with one another, with correlation 0.8.
        let row = |i: usize, j: usize| match j {
            0 => (5.0 + 0.3 * z[2 * i]).exp(),
            _ => (-2.0 + 0.02 * (0.8 * z[2 * i] + 0.6 * z[2 * i + 1])).exp(),
        };
        let rows = Array2::from_shape_fn((count, 2), |(i, j)| row(i, j));
        let covariance = |logs: &Array2<f64>, rows: f64| {
            let centred = logs - &logs.mean_axis(Axis(0)).unwrap();
            centred.t().dot(&centred) / rows
        };
        let old = rows.mapv(f64::ln);
        // The kernel is as wide as the unbiased spread says, the mixture's own spread is the biased one.
        let (s, wide) = (covariance(&old, count as f64), covariance(&old, count as f64 - 1.0));
        let h2 = (count as f64).powf(-2.0 / 6.0);
        let new = draw(&rows, n).unwrap().mapv(f64::ln);
        let found = covariance(&new, n as f64);
        for i in 0..2 {
            let expected = s[[i, i]] + h2 * wide[[i, i]];
            let error = (expected / n as f64).sqrt();
            let gap = new.column(i).mean().unwrap() - old.column(i).mean().unwrap();
            assert!(gap.abs() < 5.0 * error, "mean of column {i}: {gap} against {error}");
            let ratio = found[[i, i]] / expected;
            assert!((ratio - 1.0).abs() < 5.0 * (2.0 / n as f64).sqrt(), "variance of column {i}: {ratio} of it");
        }
        let both = ((s[[0, 0]] + h2 * wide[[0, 0]]) * (s[[1, 1]] + h2 * wide[[1, 1]])).sqrt();
        let gap = (found[[0, 1]] - s[[0, 1]]) / both;
        assert!(gap.abs() < 5.0 * (2.0 / n as f64).sqrt(), "correlation: {gap}");
    }

    #[test]
    fn a_table_is_refused_by_its_line() {
        let refused = |text: &str| table(text).unwrap_err().to_string();
        assert_eq!(table("a,b\n1,2\n3,4\n").unwrap(), (Some("a,b".into()), ndarray::array![[1.0, 2.0], [3.0, 4.0]]));
        assert_eq!(refused("1,2\n3,0\n"), "line 2: 0 is not positive");
        assert_eq!(refused("1,2\n3\n"), "line 2: 1 numbers, 2 before");
        assert!(refused("1,2\n3,x\n").starts_with("line 2: "));
        assert_eq!(refused("a\n1\n"), "at least two rows are needed");
    }
}
