//! The five kinds of blocks; what a block returns are its branches, one after the other along the channels.

use tch::Tensor;

use super::layer::{ConvNorm, Source};
use crate::Result;

/// How a branch pools 3 × 3 pixels.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pool {
    /// Their mean; what lies outside does not count.
    Average,
    /// Their maximum.
    Maximum,
}

impl Pool {
    /// The image keeps its size.
    fn apply(self, x: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Average => x.f_avg_pool2d([3, 3], [1, 1], [1, 1], false, false, None)?,
            Self::Maximum => x.f_max_pool2d([3, 3], [1, 1], [1, 1], [1, 1], false)?,
        })
    }

    /// The maximum, at every other pixel.
    pub(super) fn reduced(x: &Tensor) -> Result<Tensor> {
        Ok(x.f_max_pool2d([3, 3], [2, 2], [0, 0], [1, 1], false)?)
    }
}

/// Some layers, one after the other.
#[derive(Debug)]
struct Chain(Vec<ConvNorm>);

impl Chain {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.shallow_clone();
        for layer in &self.0 {
            x = layer.forward(&x)?;
        }
        Ok(x)
    }
}

fn joined(branches: &[Tensor]) -> Result<Tensor> {
    Ok(Tensor::f_cat(branches, 1)?)
}

/// 35 × 35 pixels.
#[derive(Debug)]
pub(super) struct BlockA {
    branches: [Chain; 3],
    pool: ConvNorm,
}

impl BlockA {
    pub(super) fn new(s: &Source<'_>, name: &str, channels: i64, pooled: i64) -> Result<Self> {
        let layer = |part: &str, io, kernel| ConvNorm::new(s, &format!("{name}.{part}"), io, kernel);
        Ok(Self {
            branches: [
                Chain(vec![layer("branch1x1", (channels, 64), (1, 1))?]),
                Chain(vec![layer("branch5x5_1", (channels, 48), (1, 1))?, layer("branch5x5_2", (48, 64), (5, 5))?]),
                Chain(vec![
                    layer("branch3x3dbl_1", (channels, 64), (1, 1))?,
                    layer("branch3x3dbl_2", (64, 96), (3, 3))?,
                    layer("branch3x3dbl_3", (96, 96), (3, 3))?,
                ]),
            ],
            pool: layer("branch_pool", (channels, pooled), (1, 1))?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [b1, b5, b3] = &self.branches;
        joined(&[b1.forward(x)?, b5.forward(x)?, b3.forward(x)?, self.pool.forward(&Pool::Average.apply(x)?)?])
    }
}

/// From 35 × 35 to 17 × 17 pixels.
#[derive(Debug)]
pub(super) struct BlockB {
    branches: [Chain; 2],
}

impl BlockB {
    pub(super) fn new(s: &Source<'_>, name: &str, channels: i64) -> Result<Self> {
        let layer = |part: &str, io, kernel| ConvNorm::new(s, &format!("{name}.{part}"), io, kernel);
        Ok(Self {
            branches: [
                Chain(vec![layer("branch3x3", (channels, 384), (3, 3))?.stride(2).valid()]),
                Chain(vec![
                    layer("branch3x3dbl_1", (channels, 64), (1, 1))?,
                    layer("branch3x3dbl_2", (64, 96), (3, 3))?,
                    layer("branch3x3dbl_3", (96, 96), (3, 3))?.stride(2).valid(),
                ]),
            ],
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [b3, double] = &self.branches;
        joined(&[b3.forward(x)?, double.forward(x)?, Pool::reduced(x)?])
    }
}

/// 17 × 17 pixels, kernels of 1 × 7 and 7 × 1.
#[derive(Debug)]
pub(super) struct BlockC {
    branches: [Chain; 3],
    pool: ConvNorm,
}

impl BlockC {
    pub(super) fn new(s: &Source<'_>, name: &str, c: i64) -> Result<Self> {
        let layer = |part: &str, io, kernel| ConvNorm::new(s, &format!("{name}.{part}"), io, kernel);
        Ok(Self {
            branches: [
                Chain(vec![layer("branch1x1", (768, 192), (1, 1))?]),
                Chain(vec![
                    layer("branch7x7_1", (768, c), (1, 1))?,
                    layer("branch7x7_2", (c, c), (1, 7))?,
                    layer("branch7x7_3", (c, 192), (7, 1))?,
                ]),
                Chain(vec![
                    layer("branch7x7dbl_1", (768, c), (1, 1))?,
                    layer("branch7x7dbl_2", (c, c), (7, 1))?,
                    layer("branch7x7dbl_3", (c, c), (1, 7))?,
                    layer("branch7x7dbl_4", (c, c), (7, 1))?,
                    layer("branch7x7dbl_5", (c, 192), (1, 7))?,
                ]),
            ],
            pool: layer("branch_pool", (768, 192), (1, 1))?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [b1, b7, double] = &self.branches;
        joined(&[b1.forward(x)?, b7.forward(x)?, double.forward(x)?, self.pool.forward(&Pool::Average.apply(x)?)?])
    }
}

/// From 17 × 17 to 8 × 8 pixels.
#[derive(Debug)]
pub(super) struct BlockD {
    branches: [Chain; 2],
}

impl BlockD {
    pub(super) fn new(s: &Source<'_>, name: &str, channels: i64) -> Result<Self> {
        let layer = |part: &str, io, kernel| ConvNorm::new(s, &format!("{name}.{part}"), io, kernel);
        Ok(Self {
            branches: [
                Chain(vec![
                    layer("branch3x3_1", (channels, 192), (1, 1))?,
                    layer("branch3x3_2", (192, 320), (3, 3))?.stride(2).valid(),
                ]),
                Chain(vec![
                    layer("branch7x7x3_1", (channels, 192), (1, 1))?,
                    layer("branch7x7x3_2", (192, 192), (1, 7))?,
                    layer("branch7x7x3_3", (192, 192), (7, 1))?,
                    layer("branch7x7x3_4", (192, 192), (3, 3))?.stride(2).valid(),
                ]),
            ],
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [b3, b7] = &self.branches;
        joined(&[b3.forward(x)?, b7.forward(x)?, Pool::reduced(x)?])
    }
}

/// 8 × 8 pixels; two branches end in a 1 × 3 and a 3 × 1 convolution side by side.
#[derive(Debug)]
pub(super) struct BlockE {
    one: ConvNorm,
    three: ConvNorm,
    three_ends: [ConvNorm; 2],
    double: Chain,
    double_ends: [ConvNorm; 2],
    pool: ConvNorm,
    pooling: Pool,
}

impl BlockE {
    pub(super) fn new(s: &Source<'_>, name: &str, channels: i64, pooling: Pool) -> Result<Self> {
        let layer = |part: &str, io, kernel| ConvNorm::new(s, &format!("{name}.{part}"), io, kernel);
        Ok(Self {
            one: layer("branch1x1", (channels, 320), (1, 1))?,
            three: layer("branch3x3_1", (channels, 384), (1, 1))?,
            three_ends: [layer("branch3x3_2a", (384, 384), (1, 3))?, layer("branch3x3_2b", (384, 384), (3, 1))?],
            double: Chain(vec![
                layer("branch3x3dbl_1", (channels, 448), (1, 1))?,
                layer("branch3x3dbl_2", (448, 384), (3, 3))?,
            ]),
            double_ends: [layer("branch3x3dbl_3a", (384, 384), (1, 3))?, layer("branch3x3dbl_3b", (384, 384), (3, 1))?],
            pool: layer("branch_pool", (channels, 192), (1, 1))?,
            pooling,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (three, double) = (self.three.forward(x)?, self.double.forward(x)?);
        joined(&[
            self.one.forward(x)?,
            self.three_ends[0].forward(&three)?,
            self.three_ends[1].forward(&three)?,
            self.double_ends[0].forward(&double)?,
            self.double_ends[1].forward(&double)?,
            self.pool.forward(&self.pooling.apply(x)?)?,
        ])
    }
}
