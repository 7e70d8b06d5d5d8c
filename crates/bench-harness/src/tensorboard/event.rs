//! The messages of an event file: `Event`, and within it one `Summary.Value` or a `SessionLog`.
//!
//! Scalars, images and histograms are in the form that every version of TensorBoard reads; a text, which has none, is a
//! tensor that names its plugin.
//!
//! Source: TensorFlow, `core/util/event.proto`, `core/framework/{summary,histogram,tensor}.proto`.

use super::buckets::Histogram;
use super::wire::Message;

/// Which channels the pixels of an image have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colorspace {
    /// Gray.
    Gray = 1,
    /// Gray and opacity.
    GrayAlpha = 2,
    /// Red, green and blue.
    Rgb = 3,
    /// Red, green, blue and opacity.
    Rgba = 4,
}

/// The first event of a file.
pub(super) fn version(time: f64) -> Message {
    event(time, 0).bytes(3, b"brain.Event:2")
}

/// A run starts, or starts again: what was written at `step` and later is void.
pub(super) fn start(time: f64, step: u64) -> Message {
    const START: u64 = 1;
    event(time, step).message(7, Message::default().integer(1, START))
}

/// One value at a step.
pub(super) fn summary(time: f64, step: u64, value: Message) -> Message {
    event(time, step).message(5, Message::default().message(1, value))
}

/// A number.
pub(super) fn scalar(tag: &str, value: f64) -> Message {
    tagged(tag).float(2, value as f32)
}

/// An encoded image.
pub(super) fn image(tag: &str, png: &[u8], width: u32, height: u32, colorspace: Colorspace) -> Message {
    let image = Message::default()
        .integer(1, height.into())
        .integer(2, width.into())
        .integer(3, colorspace as u64)
        .bytes(4, png);
    tagged(tag).message(4, image)
}

/// A histogram.
pub(super) fn histogram(tag: &str, of: &Histogram) -> Message {
    let histogram = Message::default()
        .double(1, of.min)
        .double(2, of.max)
        .double(3, of.num)
        .double(4, of.sum)
        .double(5, of.sum_squares)
        .doubles(6, of.buckets.iter().map(|bucket| bucket.limit))
        .doubles(7, of.buckets.iter().map(|bucket| bucket.count));
    tagged(tag).message(5, histogram)
}

/// A text: a tensor of one string, without dimensions.
pub(super) fn text(tag: &str, markdown: &str) -> Message {
    const STRING: u64 = 7;
    const TENSOR: u64 = 2;
    let shape = Message::default();
    let tensor = Message::default().integer(1, STRING).message(2, shape).bytes(8, markdown.as_bytes());
    let plugin = Message::default().bytes(1, b"text");
    let metadata = Message::default().message(1, plugin).integer(4, TENSOR);
    tagged(tag).message(8, tensor).message(9, metadata)
}

fn event(time: f64, step: u64) -> Message {
    Message::default().double(1, time).integer(2, step)
}

fn tagged(tag: &str) -> Message {
    Message::default().bytes(1, tag.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_to_the_byte() {
        let bytes = summary(1.0, 300, scalar("loss", 0.5)).into_bytes();
        let time = [0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f];
        let step = [0x10, 0xac, 0x02];
        let value = b"\x2a\x0d\x0a\x0b\x0a\x04loss\x15\x00\x00\x00\x3f";
        assert_eq!(bytes, [&time[..], &step, value].concat());
    }

    #[test]
    fn an_image_to_the_byte() {
        let bytes = image("x", &[9, 8], 3, 200, Colorspace::GrayAlpha).into_bytes();
        assert_eq!(bytes, b"\x0a\x01x\x22\x0b\x08\xc8\x01\x10\x03\x18\x02\x22\x02\x09\x08");
    }

    #[test]
    fn a_text_to_the_byte() {
        let bytes = text("t", "*a*").into_bytes();
        assert_eq!(bytes, b"\x0a\x01t\x42\x09\x08\x07\x12\x00\x42\x03*a*\x4a\x0a\x0a\x06\x0a\x04text\x20\x02");
    }
}
