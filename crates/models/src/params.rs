//! Parameters as one flat buffer.
//!
//! A [`Layout`] gives every parameter a name, a shape and an offset. A [`Flat`] is one contiguous tensor with that layout,
//! so Adam, clipping, averaging and checkpointing each act on a single tensor. [`Weights`] are the views a network
//! computes with: leaves that share storage with a flat buffer, in f32 or bf16.

use std::collections::HashSet;

use gbm_sde::noise::{Noise, Stream};
use tch::{Device, Kind, Tensor};

use crate::native::gradient::set_gradient;
use crate::probe::{Probe, Seen, Work};
use crate::{ModelError, Result};

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All zero: a block that ends in it starts as the identity.
    Zeros,
    /// All one.
    Ones,
    /// Uniform on ±√(1/fan_in), as PyTorch's layers do.
    Uniform {
        /// Inputs that one output sums over.
        fan_in: i64,
    },
}

/// Values of the largest network that is accepted: 8 GiB in f32.
const MOST_VALUES: i64 = 1 << 31;

/// Index of a parameter in its layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamId(usize);

/// One parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Stable, explicit name, e.g. `down.0.conv1.weight`.
    pub name: String,
    /// Shape, as in PyTorch.
    pub shape: Vec<i64>,
    /// Position of its first value in the flat buffer.
    pub offset: i64,
    init: Init,
}

impl Entry {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> i64 {
        self.shape.iter().product()
    }

    /// Whether it holds no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Names, shapes and offsets of all parameters of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    entries: Vec<Entry>,
    total: i64,
    names: HashSet<String>,
}

impl Layout {
    /// Adds a parameter.
    ///
    /// # Errors
    /// [`ModelError::DuplicateName`] if the name is taken, [`ModelError::Config`] if there are more than 2³¹ values.
    pub fn add(&mut self, name: &str, shape: &[i64], init: Init) -> Result<ParamId> {
        if self.names.contains(name) {
            return Err(ModelError::DuplicateName(name.to_owned()));
        }
        let count = shape.iter().try_fold(1_i64, |product, n| product.checked_mul(*n));
        if count.and_then(|n| n.checked_add(self.total)).is_none_or(|total| total > MOST_VALUES) {
            let reason = format!("{name} of shape {shape:?} makes it larger than {MOST_VALUES} parameters");
            return Err(ModelError::Config { key: "network", value: format!("{} parameters", self.total), reason });
        }
        self.names.insert(name.to_owned());
        let entry = Entry { name: name.to_owned(), shape: shape.to_vec(), offset: self.total, init };
        self.total += entry.len();
        self.entries.push(entry);
        Ok(ParamId(self.entries.len() - 1))
    }

    /// All parameters, in order of their offsets.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Number of values of all parameters together.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.total
    }
}

/// One contiguous tensor of `layout.total()` values.
#[derive(Debug)]
pub struct Flat(Tensor);

impl Flat {
    /// Fresh parameters, each value a function of `(seed, parameter, element)`: the same on every machine.
    pub fn initialized(layout: &Layout, seed: u64, device: Device) -> Result<Self> {
        let noise = Noise::new(seed);
        let mut values = vec![0.0_f32; layout.total as usize];
        let mut draws = Vec::new();
        for (index, entry) in layout.entries.iter().enumerate() {
            let slot = &mut values[entry.offset as usize..(entry.offset + entry.len()) as usize];
            match entry.init {
                Init::Zeros => slot.fill(0.0),
                Init::Ones => slot.fill(1.0),
                Init::Uniform { fan_in } => {
                    let bound = (1.0 / fan_in as f64).sqrt();
                    draws.resize(slot.len(), 0.0);
                    noise.fill_uniform_f64(Stream::INIT, index as u64, 0, &mut draws);
                    for (value, u) in slot.iter_mut().zip(&draws) {
                        *value = (bound * (2.0 * u - 1.0)) as f32;
                    }
                }
            }
        }
        Ok(Self(Tensor::from_slice(&values).f_to_device(device)?))
    }

    /// Wraps a one-dimensional f32 tensor.
    ///
    /// # Errors
    /// [`ModelError::Shape`] if it does not fit the layout.
    pub fn from_tensor(layout: &Layout, tensor: Tensor) -> Result<Self> {
        if tensor.size() != [layout.total] {
            return Err(ModelError::Shape {
                what: "flat parameters",
                expected: vec![layout.total],
                found: tensor.size(),
            });
        }
        Ok(Self(tensor.f_to_kind(Kind::Float)?.f_contiguous()?))
    }

    /// All zeros, on the device and in the kind of `self`.
    pub fn zeros_like(&self) -> Result<Self> {
        Ok(Self(self.0.f_zeros_like()?))
    }

    /// A copy with its own storage.
    pub fn duplicate(&self) -> Result<Self> {
        Ok(Self(self.0.f_detach_copy()?))
    }

    /// The buffer.
    pub fn tensor(&self) -> &Tensor {
        &self.0
    }

    /// The buffer, for in-place updates.
    pub fn tensor_mut(&mut self) -> &mut Tensor {
        &mut self.0
    }

    /// A copy in `kind`, cut into leaves that share its storage: what a network computes with.
    pub fn weights(&self, layout: &Layout, kind: Kind, grad: Gradient) -> Result<Weights> {
        let compute = self.0.f_to_kind(kind)?.f_detach()?;
        let compute = if kind == self.0.kind() { compute.f_detach_copy()? } else { compute };
        Weights::cut(compute, layout, grad)
    }
}

/// Whether weights take part in differentiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gradient {
    /// They are leaves that require a gradient.
    Wanted,
    /// They are constants.
    Unwanted,
}

/// The tensors a network computes with: one leaf for each parameter, all in one buffer, and likewise their gradients.
#[derive(Debug)]
pub struct Weights {
    buffer: Tensor,
    leaves: Vec<Tensor>,
    gradient: Option<Accumulated>,
    probe: Option<Probe>,
}

/// Gradients of all leaves in one buffer of their kind, which backward passes add to, and the same in f32.
#[derive(Debug)]
struct Accumulated {
    buffer: Tensor,
    single: Tensor,
}

impl Accumulated {
    /// Makes the buffer and gives every leaf its part of it.
    fn new(buffer: &Tensor, layout: &Layout, leaves: &mut [Tensor]) -> Result<Self> {
        let gradient = buffer.f_zeros_like()?;
        for (entry, leaf) in layout.entries.iter().zip(leaves) {
            let part = gradient.f_narrow(0, entry.offset, entry.len())?.f_view(entry.shape.as_slice())?;
            set_gradient(leaf, &part)?;
        }
        let single =
            if gradient.kind() == Kind::Float { gradient.shallow_clone() } else { gradient.f_to_kind(Kind::Float)? };
        Ok(Self { buffer: gradient, single })
    }
}

impl Weights {
    fn cut(buffer: Tensor, layout: &Layout, grad: Gradient) -> Result<Self> {
        let mut leaves = Vec::with_capacity(layout.entries.len());
        for entry in &layout.entries {
            let leaf = buffer.f_narrow(0, entry.offset, entry.len())?.f_view(entry.shape.as_slice())?;
            leaves.push(leaf.f_detach()?.f_set_requires_grad(grad == Gradient::Wanted)?);
        }
        let gradient = match grad {
            Gradient::Wanted => Some(Accumulated::new(&buffer, layout, &mut leaves)?),
            Gradient::Unwanted => None,
        };
        Ok(Self { buffer, leaves, gradient, probe: None })
    }

    /// Overwrites all values with those of `flat`, casting once.
    pub fn assign(&mut self, flat: &Flat) -> Result<()> {
        self.buffer.f_copy_(flat.tensor())?;
        Ok(())
    }

    /// The tensor of one parameter.
    pub fn get(&self, id: ParamId) -> &Tensor {
        &self.leaves[id.0]
    }

    /// Element type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.buffer.kind()
    }

    /// Device.
    #[must_use]
    pub fn device(&self) -> Device {
        self.buffer.device()
    }

    /// Gradient of a scalar with respect to all parameters, flat and f32; zero where the scalar does not depend on one.
    ///
    /// Backward passes write into one buffer, which the next call overwrites: the result shares its storage.
    ///
    /// # Errors
    /// [`ModelError::NoGradient`] if these weights were made without one; libtorch's message otherwise.
    pub fn gradient(&mut self, loss: &Tensor) -> Result<Tensor> {
        let Some(gradient) = &mut self.gradient else { return Err(ModelError::NoGradient) };
        let _ = gradient.buffer.f_zero_()?;
        loss.f_backward()?;
        if gradient.buffer.kind() != Kind::Float {
            gradient.single.f_copy_(&gradient.buffer)?;
        }
        Ok(gradient.single.shallow_clone())
    }

    /// From now on, what every layer computes is looked at; [`Self::unwatch`] tells.
    pub fn watch(&mut self, layout: &Layout) {
        self.probe = Some(Probe::new(layout));
    }

    /// Ends the watch and returns what was seen.
    pub fn unwatch(&mut self) -> Vec<Seen> {
        self.probe.take().map(Probe::finish).unwrap_or_default()
    }

    /// Called by every layer with the id of its weight, its input and its output; does nothing unless watched.
    pub(crate) fn seen(&self, id: ParamId, input: &Tensor, output: &Tensor) -> Result<()> {
        self.probe.as_ref().map_or(Ok(()), |probe| probe.see(id.0, input, output, Work::Products))
    }

    /// The same for a layer that only looks rows up.
    pub(crate) fn looked_up(&self, id: ParamId, input: &Tensor, output: &Tensor) -> Result<()> {
        self.probe.as_ref().map_or(Ok(()), |probe| probe.see(id.0, input, output, Work::None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let mut layout = Layout::default();
        layout.add("a", &[2, 3], Init::Uniform { fan_in: 3 }).unwrap();
        layout.add("b", &[4], Init::Ones).unwrap();
        layout
    }

    #[test]
    fn a_name_taken_twice_is_an_error() {
        let error = layout().add("a", &[1], Init::Zeros).unwrap_err();
        assert!(matches!(error, ModelError::DuplicateName(name) if name == "a"));
    }

    #[test]
    fn leaves_share_storage_and_gradients_come_back_flat() {
        let layout = layout();
        let mut flat = Flat::initialized(&layout, 1, Device::Cpu).unwrap();
        for kind in [Kind::Float, Kind::BFloat16] {
            let mut weights = flat.weights(&layout, kind, Gradient::Wanted).unwrap();
            let expected = Tensor::cat(&[flat.tensor().narrow(0, 0, 6) * 2.0, Tensor::from_slice(&[3.0_f32; 4])], 0);
            // Twice: a pass does not see what the one before has left.
            for _ in 0..2 {
                let part = |i| weights.get(ParamId(i)).to_kind(Kind::Float);
                let loss = part(0).square().sum(Kind::Float) + part(1).sum(Kind::Float) * 3.0;
                let gradient = weights.gradient(&loss).unwrap();
                assert_eq!(gradient.kind(), Kind::Float);
                assert!(gradient.allclose(&expected, if kind == Kind::Float { 1e-6 } else { 1e-2 }, 0.0, false));
            }
        }
        let mut weights = flat.weights(&layout, Kind::Float, Gradient::Wanted).unwrap();

        let _ = flat.tensor_mut().fill_(7.0);
        weights.assign(&flat).unwrap();
        assert_eq!(weights.get(ParamId(0)).double_value(&[1, 2]), 7.0);

        // A parameter that a loss does not reach has a gradient of zero; weights made without one say so.
        let gradient = weights.gradient(&weights.get(ParamId(1)).sum(Kind::Float)).unwrap();
        assert_eq!(gradient.narrow(0, 0, 6).abs().max().double_value(&[]), 0.0);
        let mut fixed = flat.weights(&layout, Kind::Float, Gradient::Unwanted).unwrap();
        assert!(matches!(fixed.gradient(&gradient), Err(ModelError::NoGradient)));
    }

    #[test]
    fn initial_values_stay_within_their_bound_and_depend_on_the_seed_alone() {
        let layout = layout();
        let one = Flat::initialized(&layout, 1, Device::Cpu).unwrap();
        let same = Flat::initialized(&layout, 1, Device::Cpu).unwrap();
        let other = Flat::initialized(&layout, 2, Device::Cpu).unwrap();
        assert!(one.tensor().equal(same.tensor()));
        assert!(!one.tensor().equal(other.tensor()));
        assert!(one.tensor().narrow(0, 0, 6).abs().max().double_value(&[]) <= (1.0_f64 / 3.0).sqrt());
    }
}
