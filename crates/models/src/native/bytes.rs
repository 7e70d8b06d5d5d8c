//! The memory of a tensor as bytes, without a copy.

use tch::{Device, Kind, Tensor};

/// The bytes of a contiguous f32 tensor on the CPU as they lie in memory; none for any other. Nothing may change the tensor meanwhile.
pub(crate) fn bytes(tensor: &Tensor) -> Option<&[u8]> {
    if tensor.kind() != Kind::Float || tensor.device() != Device::Cpu || !tensor.is_contiguous() || tensor.numel() == 0
    {
        return None;
    }
    // SAFETY: a contiguous f32 tensor on the CPU is `numel` × 4 initialized bytes from its data pointer on, which stays alive as long as
    // the tensor that the result borrows from; in-place operations need `&mut`.
    Some(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<u8>(), 4 * tensor.numel()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_those_of_the_numbers() {
        let tensor = Tensor::from_slice(&[1.0_f32, -2.5]);
        let expected: Vec<u8> = [1.0_f32, -2.5].iter().flat_map(|x| x.to_ne_bytes()).collect();
        assert_eq!(bytes(&tensor), Some(&expected[..]));
        let wide = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        assert!(bytes(&wide.tr()).is_none() && bytes(&wide.to_kind(Kind::Double)).is_none());
    }
}
