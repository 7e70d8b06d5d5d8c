//! Numbers as comma-separated values, RFC 4180, and links that hold them.

/// One field, in quotes where it needs them.
pub(crate) fn field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// A number with every digit that it needs to be read back as the same, and no more.
pub(super) fn exact(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-5..1e15).contains(&size) || !size.is_finite() {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

/// A link's address that holds the text itself.
pub(super) fn data_url(csv: &str) -> String {
    let mut url = "data:text/csv;charset=utf-8,".to_owned();
    for byte in csv.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b',' | b'.' | b'-' | b'_' | b'~' | b':' | b'(' | b')' | b'/' => {
                url.push(char::from(byte));
            }
            _ => url += &format!("%{byte:02X}"),
        }
    }
    url
}

/// A file's name, without its end, from a title.
pub(super) fn file_stem(title: &str) -> String {
    let mut stem = String::new();
    for c in title.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            stem.push(c);
        } else if !stem.is_empty() && !stem.ends_with('-') {
            stem.push('-');
        }
        if stem.len() >= 60 {
            break;
        }
    }
    let stem = stem.trim_end_matches('-');
    if stem.is_empty() { "chart".to_owned() } else { stem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        assert_eq!(field("heun"), "heun");
        assert_eq!(field("a, \"b\""), "\"a, \"\"b\"\"\"");
        assert_eq!(field("two\nlines"), "\"two\nlines\"");
    }

    #[test]
    fn numbers_come_back_to_the_bit() {
        for value in [0.0, 0.1 + 0.2, -1.5, 1e300, f64::MIN_POSITIVE, 12_345.678, 1e-7, f64::MAX] {
            let text = exact(value);
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{text}");
            assert!(text.len() < 26, "{text}");
        }
    }

    #[test]
    fn an_address_holds_nothing_that_ends_it() {
        let url = data_url("x,y\n\"σ < 1\",2#&'");
        assert_eq!(url, "data:text/csv;charset=utf-8,x,y%0A%22%CF%83%20%3C%201%22,2%23%26%27");
    }

    #[test]
    fn names_of_files_are_plain() {
        assert_eq!(file_stem("Weak: reverse equation (1D)"), "weak-reverse-equation-1d");
        assert_eq!(file_stem("../σ"), "chart");
        assert!(file_stem(&"x".repeat(300)).len() <= 60);
    }
}
