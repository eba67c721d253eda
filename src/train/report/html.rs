//! An HTML page, with everything in one file.

use std::fmt::Write;
use std::io::Cursor;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::{ImageError, ImageFormat, RgbImage};

/// The start of the page.
const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
<meta name=\"viewport\" content=\"width=device-width\">\n\
<style>\n\
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222 }\n\
h1, h2 { font-weight: 600; line-height: 1.2 }\n\
h2 { margin-top: 2.5rem }\n\
img { max-width: 100%; height: auto; display: block }\n\
table { border-collapse: collapse }\n\
td, th { padding: .15rem 1rem .15rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #eee }\n\
td { overflow-wrap: anywhere }\n\
figure { margin: 1.5rem 0 }\n\
figcaption { color: #666 }\n\
</style>\n";

/// A page under construction.
pub struct Page(String);

impl Page {
    /// A page with a title.
    pub fn new(title: &str) -> Self {
        let title = escaped(title);
        Page(format!("{HEAD}<title>{title}</title>\n<h1>{title}</h1>\n"))
    }

    /// Adds a heading.
    pub fn heading(&mut self, text: &str) {
        self.line(&format!("<h2>{}</h2>", escaped(text)));
    }

    /// Adds a paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.line(&format!("<p>{}</p>", escaped(text)));
    }

    /// Adds a table of names and values.
    pub fn table(&mut self, rows: impl IntoIterator<Item = (String, String)>) {
        self.line("<table>");
        for (name, value) in rows {
            let (name, value) = (escaped(&name), escaped(&value));
            self.line(&format!("<tr><th>{name}</th><td>{value}</td></tr>"));
        }
        self.line("</table>");
    }

    /// Adds an image, given as a PNG file.
    pub fn image(&mut self, png: &[u8], caption: &str) {
        let data = BASE64_STANDARD.encode(png);
        let caption = escaped(caption);
        self.line(&format!(
            "<figure><img alt=\"{caption}\" src=\"data:image/png;base64,{data}\"><figcaption>{caption}</figcaption></figure>"
        ));
    }

    /// The HTML text.
    pub fn text(&self) -> &str {
        &self.0
    }

    fn line(&mut self, text: &str) {
        // Writing into a string can't fail.
        let _ = writeln!(self.0, "{text}");
    }
}

/// An image as a PNG file.
pub fn png(image: &RgbImage) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// Escapes text for HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_nothing_is_fetched() {
        let mut page = Page::new("a < b");
        page.table([("data".into(), "<script src=\"http://x\">".into())]);
        page.image(&png(&RgbImage::new(2, 1)).unwrap(), "R&D");
        let text = page.text();
        assert!(text.contains("<h1>a &lt; b</h1>"));
        assert!(text.contains("<td>&lt;script src=&quot;http://x&quot;&gt;</td>"));
        assert!(text.contains("alt=\"R&amp;D\" src=\"data:image/png;base64,iVBOR"));
        assert!(!text.contains("<script") && !text.contains("src=\"http"));
    }
}
