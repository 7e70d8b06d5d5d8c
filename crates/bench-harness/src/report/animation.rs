//! Pictures one after another: an animated PNG, which browsers play in place of a picture.

use super::image::{ImageError, Png};

/// Encodes grey frames of one size, each with its time in milliseconds; it plays for ever.
///
/// # Errors
/// No frames, frames of different sizes, or too large ones.
pub fn animate(frames: &[(ndarray::Array2<u8>, u16)]) -> Result<Png, ImageError> {
    let (height, width) = frames.first().map_or((0, 0), |(frame, _)| frame.dim());
    let even = frames.iter().all(|(frame, _)| frame.dim() == (height, width));
    if height == 0 || width == 0 || !even {
        return Err(ImageError::Empty { n: frames.len(), height, width });
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    encoder.set_animated(frames.len() as u32, 0)?;
    let mut writer = encoder.write_header()?;
    for (frame, milliseconds) in frames {
        writer.set_frame_delay(*milliseconds, 1000)?;
        writer.write_image_data(&frame.iter().copied().collect::<Vec<u8>>())?;
    }
    writer.finish()?;
    Png::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    #[test]
    fn every_frame_is_there_with_its_time() {
        let frames: Vec<_> = [10_u8, 200, 60].iter().map(|v| (Array2::from_elem((3, 5), *v), u16::from(*v))).collect();
        let png = animate(&frames).unwrap();
        assert_eq!(png.size(), (5, 3));
        let mut reader = png::Decoder::new(std::io::Cursor::new(png.bytes())).read_info().unwrap();
        let control = reader.info().animation_control.unwrap();
        assert_eq!((control.num_frames, control.num_plays), (3, 0));
        for (frame, delay) in &frames {
            let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut bytes).unwrap();
            assert!(bytes.iter().all(|b| *b == frame[[0, 0]]));
            let control = reader.info().frame_control.unwrap();
            assert_eq!((control.delay_num, control.delay_den), (*delay, 1000));
        }
        assert!(animate(&[]).is_err());
        assert!(animate(&[(Array2::zeros((2, 2)), 1), (Array2::zeros((2, 3)), 1)]).is_err());
    }
}
