//! What every layer of a network computes, in the order of the computation: for summaries, and to find where numbers go wrong.

use std::cell::RefCell;

use tch::Tensor;

use crate::Result;
use crate::params::Layout;

/// One layer's work.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Name of the layer, e.g. `down.0.1.conv2`.
    pub layer: String,
    /// Shape of its input.
    pub input: Vec<i64>,
    /// Shape of its output.
    pub output: Vec<i64>,
    /// Its parameters: weight and bias.
    pub parameters: i64,
    /// Multiplications and additions, two for each product, over the whole batch.
    pub flops: i64,
    /// Whether all numbers of the output are finite.
    pub finite: bool,
}

/// What a layer does with its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Multiplies by it.
    Products,
    /// Looks rows up in it.
    None,
}

/// Collects [`Seen`]; belongs to the weights that a network computes with.
#[derive(Debug)]
pub(crate) struct Probe {
    layers: Vec<(String, Vec<i64>, i64)>,
    seen: RefCell<Vec<Seen>>,
}

impl Probe {
    pub(crate) fn new(layout: &Layout) -> Self {
        let name = |full: &str| full.rsplit_once('.').map_or(full, |(layer, _)| layer).to_owned();
        let entries = layout.entries();
        let layers = entries
            .iter()
            .map(|entry| {
                let layer = name(&entry.name);
                let of_layer = entries.iter().filter(|other| name(&other.name) == layer);
                let parameters = of_layer.map(crate::params::Entry::len).sum();
                (layer, entry.shape.clone(), parameters)
            })
            .collect();
        Self { layers, seen: RefCell::new(Vec::new()) }
    }

    pub(crate) fn see(&self, index: usize, input: &Tensor, output: &Tensor, work: Work) -> Result<()> {
        let (layer, weight, parameters) = &self.layers[index];
        let (input_shape, shape) = (input.size(), output.size());
        // A matrix or kernel [out, in, …] makes numel/out products for each number of the output; a norm about five operations.
        let numbers: i64 = shape.iter().product();
        let flops = match weight.split_first() {
            _ if work == Work::None => 0,
            Some((_, rest)) if !rest.is_empty() => 2 * numbers * rest.iter().product::<i64>(),
            _ => 5 * numbers,
        };
        let finite = output.f_isfinite()?.f_all()?.int64_value(&[]) == 1;
        let seen =
            Seen { layer: layer.clone(), input: input_shape, output: shape, parameters: *parameters, flops, finite };
        self.seen.borrow_mut().push(seen);
        Ok(())
    }

    pub(crate) fn finish(self) -> Vec<Seen> {
        self.seen.into_inner()
    }
}
