//! Text and pictures as HTML.

use std::fmt;

use super::journal::Picture;
use crate::units::Timestamp;

/// Text that is safe between tags and in quoted attributes.
pub struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(|c: char| "&<>\"'".contains(c) || c.is_control()) {
            let (plain, special) = rest.split_at(at);
            f.write_str(plain)?;
            let mut chars = special.chars();
            f.write_str(match chars.next() {
                Some('&') => "&amp;",
                Some('<') => "&lt;",
                Some('>') => "&gt;",
                Some('"') => "&quot;",
                Some('\'') => "&#39;",
                _ => " ",
            })?;
            rest = chars.as_str();
        }
        f.write_str(rest)
    }
}

/// A picture as a `data:` address.
pub struct DataUrl<'a>(pub &'a Picture);

impl fmt::Display for DataUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("data:image/jpeg;base64,")?;
        Base64(&self.0.jpeg).fmt(f)
    }
}

/// Bytes in base64.
pub struct Base64<'a>(pub &'a [u8]);

impl fmt::Display for Base64<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for chunk in self.0.chunks(3) {
            let mut group = [0; 3];
            group[..chunk.len()].copy_from_slice(chunk);
            let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
            let mut digits = [b'='; 4];
            for (i, digit) in digits.iter_mut().take(chunk.len() + 1).enumerate() {
                *digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            }
            f.write_str(std::str::from_utf8(&digits).unwrap_or("===="))?;
        }
        Ok(())
    }
}

/// `m:ss.t` of a time.
pub fn clock(time: Timestamp) -> String {
    crate::output::table::minutes(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_follows_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(Base64(plain.as_bytes()).to_string(), coded);
        }
        assert_eq!(Base64(&[0xff, 0xef, 0xbe]).to_string(), "/+++");
    }

    #[test]
    fn text_cannot_leave_its_place() {
        let hostile = "<script>alert('\"&\")</script>\u{7}é";
        let safe = "&lt;script&gt;alert(&#39;&quot;&amp;&quot;)&lt;/script&gt; é";
        assert_eq!(Text(hostile).to_string(), safe);
    }
}
